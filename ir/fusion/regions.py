"""Regions for global fusion: groups that could run tile by tile, keeping what is between on chip.

A region grows upwards from one sink by producers that nothing outside reads, so it has one exit
and stays convex. Which candidates pay is not said here: a device's cost model says it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from emu.ir.errors import VerifyError
from emu.ir.fusion.cut import cut
from emu.ir.fusion.wiring import Wiring, group_wiring
from emu.ir.graph import Graph, Node
from emu.ir.group import Decision, Fused
from emu.ir.ops import Fusion, find_op

# Beside each anchor: what the four groups of a spelled-out normalisation need, at most.
GROUPS_PER_ANCHOR = 5
CONVS = frozenset({"Conv", "ConvTranspose"})


@dataclass(frozen=True, slots=True)
class Region:
    """A candidate for one group: positions of groups in order, the last one being its only exit.

    ``kind`` is "chain" (convs and pools), "attention" (every softmax between two matmuls),
    "matmul-chain" (no reduction) or "tail" (a reduction beside a matmul, and every mixture).
    """

    groups: tuple[int, ...]
    kind: str


def regions(fused: Fused, max_anchors: int = 4) -> tuple[Region, ...]:
    """Return nested candidates, small to large, for each group as the exit, in group order.

    A candidate has two to ``max_anchors`` anchors, or one anchor and a reduction.
    """
    growing = _Growing(fused, max_anchors)
    return tuple(region for sink in range(len(fused.groups)) for region in growing.from_sink(sink))


def merge(fused: Fused, chosen: Iterable[Region]) -> Fused:
    """Return ``fused`` with each chosen region as one group, in scope "global".

    Raises VerifyError if two regions share a group or a region has a second exit.
    """
    chosen = tuple(chosen)
    taken = [g for region in chosen for g in region.groups]
    if len(set(taken)) != len(taken):
        raise VerifyError(f"{fused.graph.name}: two chosen regions share a group")
    wiring = group_wiring(fused.graph, (g.nodes for g in fused.groups))
    for region in chosen:
        _check_exit(fused, wiring, region)
    position = fused.graph.position
    alone = [(i,) for i in sorted(set(range(len(fused.groups))) - set(taken))]
    sets = [*alone, *(region.groups for region in chosen)]
    members = [[position[n] for g in groups for n in fused.groups[g].nodes] for groups in sets]
    reasons = (_accept(fused, region) for region in chosen)
    return cut(fused.graph, "global", members, (*fused.decisions, *reasons))


def _check_exit(fused: Fused, wiring: Wiring, region: Region) -> None:
    inside = set(region.groups)
    for group in region.groups[:-1]:
        if wiring.ends[group] or not inside.issuperset(wiring.readers[group]):
            name = fused.groups[group].name
            raise VerifyError(f"{fused.graph.name}: group '{name}' is read outside of its region")


def _accept(fused: Fused, region: Region) -> Decision:
    groups = [fused.groups[g] for g in region.groups]
    inner = [value for group in groups[:-1] for value in group.outputs]
    why = "the values between these groups never leave the chip"
    nodes = tuple(node for group in groups for node in group.nodes)
    types = fused.graph.types
    numbers = {
        "write_bytes": sum(types[value].bytes for value in inner),
        "read_bytes": sum(types[v].bytes * sum(v in g.inputs for g in groups) for v in inner),
    }
    return Decision(True, f"global:{region.kind}", why, nodes, numbers)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What counts about a set of groups: its anchors by family, reductions, softmax, walls."""

    convs: int = 0
    matmuls: int = 0
    reductions: int = 0
    softmaxes: int = 0
    walls: int = 0

    def __add__(self, other: "_Kind") -> "_Kind":
        return _Kind(
            self.convs + other.convs,
            self.matmuls + other.matmuls,
            self.reductions + other.reductions,
            self.softmaxes + other.softmaxes,
            self.walls + other.walls,
        )

    @property
    def anchors(self) -> int:
        return self.convs + self.matmuls

    @property
    def worthy(self) -> bool:
        return self.anchors > 1 or (self.anchors == 1 and self.reductions > 0)


def _kind(graph: Graph, nodes: Iterable[str]) -> _Kind:
    return reduce(_Kind.__add__, (_node_kind(graph.by_id[n]) for n in nodes))


def _node_kind(node: Node) -> _Kind:
    fusion = find_op(node.op, f"node '{node.id}'").fusion
    conv = node.op in CONVS
    return _Kind(
        convs=int(fusion == Fusion.ANCHOR and conv),
        matmuls=int(fusion == Fusion.ANCHOR and not conv),
        reductions=int(fusion == Fusion.REDUCTION),
        softmaxes=int(node.op == "Softmax"),
        walls=int(fusion == Fusion.OPAQUE),
    )


class _Growing:
    """Grows regions over the groups of one fused graph."""

    def __init__(self, fused: Fused, max_anchors: int) -> None:
        self.max_anchors = max_anchors
        self.wiring = group_wiring(fused.graph, (g.nodes for g in fused.groups))
        self.kinds = [_kind(fused.graph, g.nodes) for g in fused.groups]
        self.makers = _turned(self.wiring.readers)

    def from_sink(self, sink: int) -> Iterator[Region]:
        """Every candidate whose exit is ``sink``, small to large."""
        if self.kinds[sink].walls:
            return
        inside, kind = {sink}, self.kinds[sink]
        while len(inside) < GROUPS_PER_ANCHOR * self.max_anchors:
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
        sides = self.makers[group], self.wiring.readers[group]
        return all(any(self.kinds[g].matmuls for g in side if g in inside) for side in sides)

    def _addable(self, inside: set[int], kind: _Kind) -> Iterator[int]:
        for maker in {m for group in inside for m in self.makers[group]} - inside:
            private = not self.wiring.ends[maker] and inside.issuperset(self.wiring.readers[maker])
            fits = kind.anchors + self.kinds[maker].anchors <= self.max_anchors
            if private and fits and not self.kinds[maker].walls:
                yield maker

    def _urgent(self, group: int, inside: set[int]) -> bool:
        """Whether this is a softmax, or the scores that a softmax inside reads."""
        readers = (r for r in self.wiring.readers[group] if r in inside)
        return any(self.kinds[g].softmaxes for g in (group, *readers))


def _turned(readers: Sequence[Sequence[int]]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in readers]
    for maker, groups in enumerate(readers):
        for group in groups:
            found[group].append(maker)
    return found
