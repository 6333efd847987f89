"""What a tile rule is: how a tile of an op's output determines the slices of its inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from emu.ir.body import BodyNode, FrozenAttrs
from emu.ir.graph import Attrs
from emu.ir.tile import WHOLE, Axes, Axis
from emu.ir.types import TensorType


@dataclass(frozen=True)
class TileRule:
    """What an op does on a tile: per input the axes (of output dimensions) and the fill.

    ``whole`` are output dimensions that must not be cut; ``reduced`` the (input, dimension) pairs
    that run over the reduction of an anchor and may be cut together; ``op`` and ``attrs`` compute
    the tile.
    """

    op: str
    attrs: FrozenAttrs
    ins: tuple[Axes | None, ...]
    fill: float = 0.0
    whole: frozenset[int] = frozenset()
    reduced: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Case:
    """A node with its types, as the rules see it."""

    node: BodyNode
    ins: tuple[TensorType | None, ...]
    out: TensorType

    @property
    def attrs(self) -> Attrs:
        """The attributes by name."""
        return dict(self.node.attrs)

    @property
    def rank(self) -> int:
        """Dimensions of the output."""
        return len(self.out.shape)

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of integers."""
        return cast(tuple[int, ...], self.attrs.get(name, default))

    def integer(self, name: str, default: int) -> int:
        """One integer."""
        return cast(int, self.attrs.get(name, default))

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of input ``i``, which is there."""
        found = self.ins[i]
        assert found is not None
        return found.dims

    def rule(self, *ins: Axes | None, whole: frozenset[int] = frozenset()) -> TileRule:
        """The rule of a node whose tiles are computed by the node's own op and attributes."""
        return TileRule(self.node.op, self.node.attrs, ins, whole=whole)


Rule: TypeAlias = Callable[[Case], TileRule]


def computed_whole(case: Case) -> TileRule:
    """Everything at once: no dimension is cut."""
    ins = (None if t is None else (WHOLE,) * len(t.shape) for t in case.ins)
    return case.rule(*ins, whole=frozenset(range(case.rank)))


def each(rank: int) -> Axes:
    """Every dimension follows the same one of the output."""
    return tuple(Axis(d) for d in range(rank))


def without(axes: Axes, *dims: int) -> Axes:
    """The same, with some dimensions whole."""
    return tuple(WHOLE if d in dims else axis for d, axis in enumerate(axes))
