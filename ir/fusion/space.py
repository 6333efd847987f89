"""The space that deciders search: which sets of nodes may be one group, and what can be merged."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations
from types import MappingProxyType

from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.norms import row_norms
from emu.ir.fusion.patterns import Hit, pattern_hits
from emu.ir.fusion.regions import region_code, regions
from emu.ir.fusion.scopes import scopes_within
from emu.ir.fusion.siblings import kind, shapes, sibling_code
from emu.ir.fusion.structure import Nodes, Partition, Structure
from emu.ir.fusion.vertical import vertical_code
from emu.ir.graph import Graph
from emu.ir.ops import Fusion


@dataclass(frozen=True, slots=True)
class Move:
    """A legal union of current groups: ``nodes`` are ascending positions, ``numbers`` the bytes
    that no longer cross the borders of groups."""

    code: str
    why: str
    nodes: Nodes
    numbers: Mapping[str, int]


class Space:
    """The legal groups of one graph. A scope includes the smaller ones."""

    def __init__(self, graph: Graph) -> None:
        """Work out the structure of ``graph``; raises UnsupportedOp for an op without a rule."""
        self.graph = graph
        self.structure = Structure(graph)
        self._known: dict[tuple[str, Nodes], str] = {}

    @cached_property
    def hits(self) -> Mapping[Nodes, Hit]:
        """Where rules of the pattern table match, the first rule of each set of nodes."""
        found: dict[Nodes, Hit] = {}
        for hit in pattern_hits(self.graph):
            found.setdefault(hit.nodes, hit)
        return MappingProxyType(found)

    @cached_property
    def norms(self) -> frozenset[Nodes]:
        """Normalisations of rows in any spelling, which scopes beyond patterns know."""
        return frozenset(row_norms(self.structure))

    @cached_property
    def singles(self) -> Partition:
        """Every node alone."""
        return tuple((i,) for i in range(len(self.graph.nodes)))

    def legal(self, scope: str, nodes: Iterable[int]) -> str:
        """Why the nodes at these positions are no group of ``scope`` (a key of WHY); "" if so.

        Raises UnknownName for a scope that does not exist.
        """
        ordered = tuple(sorted(nodes))
        key = scope, ordered
        if key not in self._known:
            self._known[key] = self._code(scope, ordered)
        return self._known[key]

    def _code(self, scope: str, nodes: Nodes) -> str:
        """The verdict of the largest scope that has one, unless a smaller scope agrees."""
        code = "no-rule"
        for name in scopes_within(scope):
            found = _CODES[name](self, nodes)
            if found == "":
                return ""
            code = code if found is None else found
        return code

    def moves(self, scope: str, partition: Iterable[Nodes]) -> Iterator[Move]:
        """All legal unions of groups of ``partition`` that ``scope`` knows, small scopes first.

        No move makes groups wait for each other in a circle, if ``partition`` does not.
        """
        grouping = Grouping(self.structure, partition)
        seen: set[Nodes] = set()
        for name in scopes_within(scope):
            for move in _MOVES[name](self, grouping):
                if move.nodes not in seen:
                    seen.add(move.nodes)
                    yield move

    def pattern_moves(self, grouping: Grouping) -> Iterator[Move]:
        """Rules whose nodes are whole groups."""
        for nodes, hit in self.hits.items():
            groups = grouping.groups_of(nodes)
            if len(groups) > 1 and grouping.union(groups) == nodes:
                why = f"matches rule {hit.name}"
                yield Move(f"pattern:{hit.name}", why, nodes, grouping.saved(groups))

    def vertical_moves(self, grouping: Grouping) -> Iterator[Move]:
        """Normalisations, and groups that one other group alone reads, with that group."""
        yield from self.norm_moves(grouping)
        for group in sorted(grouping.members):
            if move := self.downward(grouping, group):
                yield move

    def norm_moves(self, grouping: Grouping) -> Iterator[Move]:
        """Normalisations of rows whose nodes are whole groups."""
        for nodes in sorted(self.norms):
            groups = grouping.groups_of(nodes)
            if len(groups) > 1 and grouping.union(groups) == nodes:
                why = "a normalisation of rows, which needs one row at a time in any spelling"
                yield Move("vertical:norm", why, nodes, grouping.saved(groups))

    def downward(self, grouping: Grouping, group: int) -> Move | None:
        """The vertical union of a group and its only reader, None if there is none or illegal."""
        readers = grouping.readers(group)
        if len(readers) != 1 or grouping.ends(group):
            return None
        pair = (group, *readers)
        nodes = grouping.union(pair)
        if self.legal("vertical", nodes):
            return None
        top = max(self.structure.classes[i] for i in nodes)
        reader = min(self.structure.readers[group])
        ops = self.structure.op(group), self.structure.op(reader)
        why = f"all readers of {ops[0]} are in the group of {ops[1]}"
        return Move(_VERTICAL[top], why, nodes, grouping.saved(pair))

    def sibling_moves(self, grouping: Grouping) -> Iterator[Move]:
        """Pairs of siblings, and all siblings at once that share an input."""
        for groups in self._alike(grouping):
            pairs = (p for p in combinations(groups, 2) if self._siblings(grouping, p))
            families = self._families(grouping, groups)
            for chosen in chain(families, pairs):
                yield self._sideways(grouping, chosen)

    def _sideways(self, grouping: Grouping, groups: tuple[int, ...]) -> Move:
        numbers = grouping.saved(groups)
        shared = "share an input" if numbers["read_bytes"] else "have equal shapes"
        why = f"the groups are independent and {shared}"
        return Move("horizontal:siblings", why, grouping.union(groups), numbers)

    def _alike(self, grouping: Grouping) -> Iterator[tuple[int, ...]]:
        """Groups of one kind and shape, two or more."""
        found: dict[object, list[int]] = {}
        for group, nodes in sorted(grouping.members.items()):
            part = self.structure.components(nodes)[0]
            if not vertical_code(self.structure, part):
                key = kind(self.structure, part), shapes(self.structure, part)
                found.setdefault(key, []).append(group)
        yield from (tuple(groups) for groups in found.values() if len(groups) > 1)

    def _families(self, grouping: Grouping, groups: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Three or more of ``groups`` whose first nodes read one computed value or input."""
        found: dict[str, list[int]] = {}
        for group in groups:
            first = self.graph.nodes[grouping.members[group][0]]
            for value in first.inputs:
                if value not in self.graph.constants:
                    found.setdefault(value, []).append(group)
        families = dict.fromkeys(tuple(f) for f in found.values() if len(f) > 2)
        yield from (f for f in families if self._siblings(grouping, f))

    def _siblings(self, grouping: Grouping, groups: tuple[int, ...]) -> bool:
        legal = not self.legal("horizontal", grouping.union(groups))
        return legal and grouping.acyclic(groups)

    def region_moves(self, grouping: Grouping) -> Iterator[Move]:
        """Nested regions, small to large, for each group as the exit."""
        for region in regions(grouping):
            nodes = grouping.union(region.groups)
            if not self.legal("global", nodes):
                why = "the values between these groups never leave the chip"
                yield Move(f"global:{region.kind}", why, nodes, grouping.saved(region.groups))


def _single(_: Space, nodes: Nodes) -> str | None:
    return "" if len(nodes) == 1 else None


def _no_moves(_: Space, __: Grouping) -> Iterator[Move]:
    yield from ()


_CODES: Mapping[str, Callable[[Space, Nodes], str | None]] = {
    "none": _single,
    "pattern": lambda space, nodes: "" if nodes in space.hits else "no-rule",
    "vertical": lambda space, nodes: (
        "" if nodes in space.norms else vertical_code(space.structure, nodes)
    ),
    "horizontal": lambda space, nodes: sibling_code(space.structure, nodes),
    "global": lambda space, nodes: region_code(space.structure, nodes),
}
_MOVES: Mapping[str, Callable[[Space, Grouping], Iterator[Move]]] = {
    "none": _no_moves,
    "pattern": Space.pattern_moves,
    "vertical": Space.vertical_moves,
    "horizontal": Space.sibling_moves,
    "global": Space.region_moves,
}
_VERTICAL: Mapping[int, str] = {
    Fusion.ELEMENTWISE: "vertical:elementwise",
    Fusion.BROADCAST: "vertical:elementwise",
    Fusion.INJECTIVE: "vertical:injective",
    Fusion.REDUCTION: "vertical:into-reduction",
    Fusion.ANCHOR: "vertical:epilogue",
}
