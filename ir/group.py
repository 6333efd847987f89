"""The fused level: groups of nodes over an authoritative flat graph, and why each came to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from emu.ir.graph import Graph


@dataclass(frozen=True)
class Decision:
    """One merge that was accepted or refused: a stable code, the reason, and its numbers.

    ``nodes`` are the ids of the nodes that the decision is about.
    """

    ok: bool
    code: str
    why: str
    nodes: tuple[str, ...]
    numbers: Mapping[str, int | float] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        numbers = ", ".join(f"{k} {v:,}" for k, v in self.numbers.items())
        verdict = "accepted" if self.ok else "refused"
        tail = f" ({numbers})" if numbers else ""
        return f"{verdict} {self.code}: {' + '.join(self.nodes)}: {self.why}{tail}"


@dataclass(frozen=True)
class Group:
    """An ordered set of node ids that becomes one launch; ``inputs`` and ``outputs`` are values."""

    name: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Fused:
    """A graph cut into groups. Groups stand in an order in which they can run."""

    graph: Graph
    scope: str
    groups: tuple[Group, ...]
    decisions: tuple[Decision, ...]
