"""Regions for global fusion: groups that could run tile by tile, keeping what is between on chip.

A region grows upwards from one sink by producers that nothing outside reads, so it has one exit
and stays convex. Which candidates pay is not said here: a device's cost model says it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, reduce

from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.structure import Nodes, Structure
from emu.ir.ops import Fusion

MAX_ANCHORS = 4
# Beside each anchor: what the four groups of a spelled-out normalisation need, at most.
GROUPS_PER_ANCHOR = 5
CONVS = frozenset({"Conv", "ConvTranspose", "ConvInteger"})
WINDOWED = frozenset({"MaxPool", "AveragePool"})  # reductions that a band of rows can make


@dataclass(frozen=True, slots=True)
class Region:
    """A candidate for one group: numbers of groups in order, the last one being its only exit.

    ``kind`` is "chain" (convs and pools), "attention" (every softmax between two matmuls),
    "matmul-chain" (no reduction) or "tail" (a reduction beside a matmul, and every mixture).
    """

    groups: tuple[int, ...]
    kind: str


def region_code(structure: Structure, nodes: Nodes) -> str | None:
    """Why ``nodes`` are no region; "" if they are, None if they are no matter of regions.

    A region has two to MAX_ANCHORS anchors, or one anchor and a reduction, and one exit. Convs run
    band by band from one value that enters, so a chain of them has one entry as well and folds no
    whole image.
    """
    kind = _kind(structure, nodes)
    if not kind.worthy:
        return None
    if kind.walls:
        return "opaque"
    if kind.anchors > MAX_ANCHORS:
        return "many-anchors"
    if kind.convs and kind.folds:
        return "whole-image"
    if kind.convs and not kind.matmuls and len(structure.entries(nodes)) > 1:
        return "two-entries"
    return structure.exit_code(nodes)


def regions(grouping: Grouping) -> Iterator[Region]:
    """Nested candidates, small to large, for each group as the exit, in group order."""
    growing = _Growing(grouping)
    for sink in sorted(grouping.members):
        yield from growing.from_sink(sink)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What counts about a set of groups: its anchors by family, reductions, walls.

    ``folds`` are reductions over whole dimensions, ``softmaxes`` those among them.
    """

    convs: int = 0
    matmuls: int = 0
    reductions: int = 0
    folds: int = 0
    softmaxes: int = 0
    walls: int = 0

    def __add__(self, other: "_Kind") -> "_Kind":
        return _Kind(
            self.convs + other.convs,
            self.matmuls + other.matmuls,
            self.reductions + other.reductions,
            self.folds + other.folds,
            self.softmaxes + other.softmaxes,
            self.walls + other.walls,
        )

    @property
    def anchors(self) -> int:
        return self.convs + self.matmuls

    @property
    def worthy(self) -> bool:
        return self.anchors > 1 or (self.anchors == 1 and self.reductions > 0)


def _kind(structure: Structure, nodes: Iterable[int]) -> _Kind:
    return reduce(_Kind.__add__, (_node_kind(structure.op(i), structure.classes[i]) for i in nodes))


@cache
def _node_kind(op: str, fusion: int) -> _Kind:
    conv = op in CONVS
    return _Kind(
        convs=int(fusion == Fusion.ANCHOR and conv),
        matmuls=int(fusion == Fusion.ANCHOR and not conv),
        reductions=int(fusion == Fusion.REDUCTION),
        folds=int(fusion == Fusion.REDUCTION and op not in WINDOWED),
        softmaxes=int(op == "Softmax"),
        walls=int(fusion == Fusion.OPAQUE),
    )


class _Growing:
    """Grows regions over the groups of one grouping."""

    def __init__(self, grouping: Grouping) -> None:
        numbers = grouping.members
        self.readers = {g: grouping.readers(g) for g in numbers}
        self.makers = {g: grouping.makers(g) for g in numbers}
        self.ends = {g: grouping.ends(g) for g in numbers}
        self.kinds = {g: _kind(grouping.structure, nodes) for g, nodes in numbers.items()}

    def from_sink(self, sink: int) -> Iterator[Region]:
        """Every candidate whose exit is ``sink``, small to large."""
        if self.kinds[sink].walls:
            return
        inside, kind = {sink}, self.kinds[sink]
        while len(inside) < GROUPS_PER_ANCHOR * MAX_ANCHORS:
            # A softmax and its scores come before other operands; then the latest group.
            near = [(self._urgent(g, inside), g) for g in self._addable(inside, kind)]
            if not near:
                return
            new = max(near)[1]
            inside.add(new)
            kind += self.kinds[new]
            if kind.worthy:
                yield Region(tuple(sorted(inside)), self._name(inside, kind))

    def _name(self, inside: set[int], kind: _Kind) -> str:
        if not kind.matmuls:
            return "chain"
        if kind.convs or kind.matmuls == 1 or kind.reductions > kind.softmaxes:
            return "tail"
        softmaxes = [g for g in inside if self.kinds[g].softmaxes]
        between = all(self._between_matmuls(g, inside) for g in softmaxes)
        return ("attention" if softmaxes else "matmul-chain") if between else "tail"

    def _between_matmuls(self, group: int, inside: set[int]) -> bool:
        sides = self.makers[group], self.readers[group]
        return all(any(self.kinds[g].matmuls for g in side & inside) for side in sides)

    def _addable(self, inside: set[int], kind: _Kind) -> Iterator[int]:
        for maker in {m for group in inside for m in self.makers[group]} - inside:
            private = not self.ends[maker] and inside.issuperset(self.readers[maker])
            fits = kind.anchors + self.kinds[maker].anchors <= MAX_ANCHORS
            if private and fits and not self.kinds[maker].walls:
                yield maker

    def _urgent(self, group: int, inside: set[int]) -> bool:
        """Whether this is a softmax, or the scores that a softmax inside reads."""
        readers = self.readers[group] & inside
        return any(self.kinds[g].softmaxes for g in (group, *readers))
