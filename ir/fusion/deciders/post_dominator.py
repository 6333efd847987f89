"""The rule-driven decider: vertical groups by post-dominators, then siblings that share an input.

The rules are those of TVM's FuseOps (Chen et al., OSDI 2018, section 3), with two differences that
the counts of IREE show: reshapes and transposes join the group of their producer, and a residual
addition joins the anchor that is computed last. A value inside a group is read only inside of it,
so a group has one exit, and groups of one exit never form a cycle.
"""

from collections.abc import Iterator, Sequence

from emu.ir.fusion.cut import cut, saved_bytes
from emu.ir.fusion.deciders.verdicts import decision
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.postdominators import post_dominators
from emu.ir.fusion.pricing import Pricing
from emu.ir.fusion.reasons import why
from emu.ir.fusion.space import Space
from emu.ir.fusion.structure import Nodes, Structure
from emu.ir.fusion.wiring import Wiring
from emu.ir.group import Decision, Fused
from emu.ir.ops import Fusion


def post_dominator(space: Space, scope: str, pricing: Pricing) -> Fused:
    """Return the groups of a scope up to "horizontal" by rule, whatever a device would say.

    Siblings are merged where they have an anchor and share an input, as IREE does.
    """
    del pricing
    if scope == "none":
        return cut(space.graph, scope, space.singles, ())
    merging = _Merging(space.structure)
    found = [*merging.anchors(), *merging.producers()]
    decisions = [d for _, d in sorted(found, key=lambda item: item[0])]
    grouping = Grouping(space.structure, merging.members())
    if scope == "horizontal":
        decisions += _siblings(space, grouping)
    return cut(space.graph, scope, grouping.partition, decisions)


def _siblings(space: Space, grouping: Grouping) -> Iterator[Decision]:
    """Merge whole families first, then pairs, in the order of the graph."""
    for move in list(space.sibling_moves(grouping)):
        groups = grouping.groups_of(move.nodes)
        if grouping.union(groups) != move.nodes or not grouping.acyclic(groups):
            continue
        if not move.numbers["read_bytes"]:
            yield decision(space, move, False, "the siblings share no input")
        elif Fusion.ANCHOR not in (space.structure.classes[i] for i in move.nodes):
            yield decision(space, move, False, "by rule, only siblings with an anchor are merged")
        else:
            grouping.merge(groups)
            yield decision(space, move, True, move.why)


class _Merging:
    """Groups while they grow. A group is the position of its seed; a lone node is its own group.

    ``width`` is the largest class in a group: once an anchor has its followers, groups only grow
    upwards, by nodes all of whose readers are inside.
    """

    def __init__(self, structure: Structure) -> None:
        self.graph = structure.graph
        self.wiring = Wiring(structure.readers, structure.ends)
        self.classes = structure.classes
        self.owner = list(range(len(self.classes)))
        self.width = list(self.classes)

    def anchors(self) -> Iterator[tuple[int, Decision]]:
        """Let each anchor, the last one first, absorb what follows it."""
        tree = post_dominators(self.wiring, self.classes)
        for anchor in reversed(range(len(self.classes))):
            sink: int | None = anchor if self.classes[anchor] == Fusion.ANCHOR else None
            while sink is not None:
                goal = tree.parent[sink]
                code = self._obstacle(sink, goal, tree.widest[sink])
                if goal is not None and not code:
                    yield sink, self._absorb(anchor, sink, goal)
                elif code:
                    yield sink, self._refuse(code, sink, goal)
                sink = None if code else goal

    def _obstacle(self, sink: int, goal: int | None, widest: int) -> str:
        """Why the group that ends at ``sink`` cannot reach its post-dominator; "" if it can."""
        readers = self.wiring.readers[sink]
        if goal is None:
            return self._unmerged(sink) if readers else ""
        if len(readers) == 1 and self.classes[goal] == Fusion.OPAQUE:
            return "opaque"
        if widest > Fusion.INJECTIVE or self.classes[goal] == Fusion.OPAQUE:
            return "two-readers"
        if self.classes[goal] == Fusion.REDUCTION:
            return "anchor-into-reduction"
        # An unclaimed goal implies that no node on the way is claimed: whichever anchor had
        # claimed it would have gone on to the goal.
        return "second-anchor" if self.width[self.owner[goal]] == Fusion.ANCHOR else ""

    def _absorb(self, anchor: int, sink: int, goal: int) -> Decision:
        path = self._between(sink, goal)
        for node in path:
            self.owner[node] = anchor
        text = f"every path from {self._op(sink)} to {self._op(goal)} is injective or simpler"
        return self._decide(True, "vertical:epilogue", text, (sink, *path))

    def _between(self, sink: int, goal: int) -> list[int]:
        """Every node on a path from ``sink`` to its post-dominator, in order, without ``sink``."""
        seen = {goal}
        todo = [sink]
        while todo:
            new = [r for r in self.wiring.readers[todo.pop()] if r not in seen]
            seen.update(new)
            todo += new
        return sorted(seen)

    def producers(self) -> Iterator[tuple[int, Decision]]:
        """Let each node that follows no anchor, the last one first, join its readers' group."""
        for node in reversed(range(len(self.classes))):
            if self.owner[node] != node or self.width[node] == Fusion.ANCHOR:
                continue
            if not self.wiring.readers[node]:
                continue
            group = self.owner[self.wiring.readers[node][0]]
            code = self._misfit(node, group)
            yield node, self._refuse(code, node, None) if code else self._join(node, group)

    def _misfit(self, node: int, group: int) -> str:
        """Why ``node`` cannot join ``group``, that of its first reader; "" if it can."""
        own, width = self.classes[node], self.width[group]
        if Fusion.OPAQUE in (own, width):
            return "opaque"
        if own == Fusion.REDUCTION:
            return "reduction-forward"
        if code := self._unmerged(node):
            return code
        if width == Fusion.ANCHOR:
            return "producer-into-anchor"
        if width == Fusion.REDUCTION and own == Fusion.INJECTIVE:
            return "injective-into-reduction"
        return ""

    def _unmerged(self, node: int) -> str:
        """Why the readers of ``node`` do not all lie in one group; "" if they do."""
        if self.wiring.ends[node]:
            return "model-output"
        groups = {self.owner[r] for r in self.wiring.readers[node]}
        return "two-readers" if len(groups) > 1 else ""

    def _join(self, node: int, group: int) -> Decision:
        reader = self.wiring.readers[node][0]
        kind = max(self.classes[node], self.width[group])
        self.owner[node] = group
        self.width[group] = kind
        code = {
            Fusion.REDUCTION: "vertical:into-reduction",
            Fusion.INJECTIVE: "vertical:injective",
        }.get(Fusion(kind), "vertical:elementwise")
        text = f"all readers of {self._op(node)} are in the group of {self._op(reader)}"
        return self._decide(True, code, text, (node, *self.wiring.readers[node]))

    def _refuse(self, code: str, node: int, goal: int | None) -> Decision:
        nodes = (node, *self.wiring.readers[node]) if goal is None else (node, goal)
        text = why(code, self._op(node), self._op(nodes[-1]))
        return self._decide(False, code, text, nodes)

    def _decide(self, ok: bool, code: str, text: str, nodes: Sequence[int]) -> Decision:
        """The decision on the edge from the first of ``nodes``; bytes are of what stays inside."""
        inner = nodes[:-1] if code == "vertical:epilogue" else nodes[:1]
        values = [v for i in inner for v in self.graph.nodes[i].outputs if v in self.graph.readers]
        ids = tuple(self.graph.nodes[i].id for i in nodes)
        return Decision(ok, code, text, ids, saved_bytes(self.graph, values))

    def _op(self, node: int) -> str:
        return self.graph.nodes[node].op

    def members(self) -> list[Nodes]:
        """The positions of the nodes of every group."""
        found: dict[int, list[int]] = {}
        for node, group in enumerate(self.owner):
            found.setdefault(group, []).append(node)
        return [tuple(nodes) for nodes in found.values()]
