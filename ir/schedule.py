"""The kernel level: every group bound to the kernel that computes it."""

from dataclasses import dataclass
from functools import cached_property

from emu.ir.body import Body, BodyOf
from emu.ir.graph import Graph
from emu.ir.group import Decision, Group
from emu.ir.tile import TileProgram

COVERAGE = ("native", "generated", "composed", "host", "refused")


@dataclass(frozen=True)
class Binding:
    """One launch: a group, the kernel that claimed it and its tile program.

    ``coverage`` is one of COVERAGE. A host fallback has no tile program. ``tilewise`` kernels
    promise to compute in the order of their tiles, so the fast executor does so too.
    """

    group: Group
    inside: BodyOf
    kernel: str
    coverage: str
    program: TileProgram | None
    why: str
    tilewise: bool = False

    @property
    def body(self) -> Body:
        """The group without names."""
        return self.inside.body


@dataclass(frozen=True)
class Schedule:
    """All launches of a graph in the order in which they run."""

    graph: Graph
    bindings: tuple[Binding, ...]
    decisions: tuple[Decision, ...] = ()

    @cached_property
    def sources(self) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Per binding and node of its body: the model's nodes that it stands for."""
        by_id = self.graph.by_id
        return tuple(tuple(by_id[n].source for n in b.inside.nodes) for b in self.bindings)
