"""Vertical fusion: one anchor or reduction and the simple nodes around it, by post-dominators.

The rules are those of TVM's FuseOps (Chen et al., OSDI 2018, section 3), with two differences that
the counts of IREE show: reshapes and transposes join the group of their producer, and a residual
addition joins the anchor that is computed last. A value inside a group is read only inside of it,
so a group has one exit, and groups of one exit never form a cycle.
"""

from collections.abc import Iterator, Sequence

from emu.ir.fusion.cut import cut, saved_bytes
from emu.ir.fusion.postdominators import post_dominators
from emu.ir.fusion.wiring import Wiring, classes_of, wiring_of
from emu.ir.graph import Graph
from emu.ir.group import Decision, Fused
from emu.ir.ops import Fusion

WHY_REFUSED = {
    "second-anchor": "a group has one anchor, and {reader} is in the group of another",
    "anchor-into-reduction": "{reader} folds whole dimensions, which no tile of {node} covers",
    "reduction-forward": "a reduction never fuses forward: {reader} needs all of its result",
    "opaque": "an opaque op is a wall",
    "two-readers": "not every path from {node} leads to {reader} through simple nodes",
    "model-output": "the value is also an output of the model",
    "producer-into-anchor": "{reader} has an anchor, and only what comes after an anchor joins it",
    "injective-into-reduction": "{node} moves elements, and {reader} would fold them out of order",
}


def fuse_vertical(graph: Graph) -> Fused:
    """Return the vertical groups of ``graph``; raise UnsupportedOp for an op without a rule."""
    merging = _Merging(graph)
    found = [*merging.anchors(), *merging.producers()]
    decisions = [d for _, d in sorted(found, key=lambda item: item[0])]
    return cut(graph, "vertical", merging.members(), decisions)


class _Merging:
    """Groups while they grow. A group is the position of its seed; a lone node is its own group.

    ``width`` is the largest class in a group: once an anchor has its followers, groups only grow
    upwards, by nodes all of whose readers are inside.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.wiring: Wiring = wiring_of(graph)
        self.classes = classes_of(graph)
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
        why = f"every path from {self._op(sink)} to {self._op(goal)} is injective or simpler"
        return self._decide(True, "vertical:epilogue", why, (sink, *path))

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
        why = f"all readers of {self._op(node)} are in the group of {self._op(reader)}"
        return self._decide(True, code, why, (node, *self.wiring.readers[node]))

    def _refuse(self, code: str, node: int, goal: int | None) -> Decision:
        nodes = (node, *self.wiring.readers[node]) if goal is None else (node, goal)
        why = WHY_REFUSED[code].format(node=self._op(node), reader=self._op(nodes[-1]))
        return self._decide(False, code, why, nodes)

    def _decide(self, ok: bool, code: str, why: str, nodes: Sequence[int]) -> Decision:
        """The decision on the edge from the first of ``nodes``; bytes are of what stays inside."""
        inner = nodes[:-1] if code == "vertical:epilogue" else nodes[:1]
        values = [v for i in inner for v in self.graph.nodes[i].outputs if v in self.graph.readers]
        ids = tuple(self.graph.nodes[i].id for i in nodes)
        return Decision(ok, code, why, ids, saved_bytes(self.graph, values))

    def _op(self, node: int) -> str:
        return self.graph.nodes[node].op

    def members(self) -> list[list[int]]:
        """The positions of the nodes of every group."""
        found: dict[int, list[int]] = {}
        for node, group in enumerate(self.owner):
            found.setdefault(group, []).append(node)
        return list(found.values())
