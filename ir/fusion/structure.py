"""What fusion looks at in a graph, by position: readers, makers, classes, and who comes after."""

from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

from emu.ir.fusion.wiring import classes_of, wiring_of
from emu.ir.graph import Graph

Nodes: TypeAlias = tuple[int, ...]  # ascending positions of nodes in their graph
Partition: TypeAlias = tuple[Nodes, ...]  # each node once; groups in no special order


class Structure:
    """A graph as numbers, worked out once; raises UnsupportedOp for an op without a rule."""

    def __init__(self, graph: Graph) -> None:
        """Read the wiring and the fusion classes of ``graph``."""
        wiring = wiring_of(graph)
        self.graph = graph
        self.readers = wiring.readers
        self.ends = wiring.ends
        self.makers = turned(wiring.readers)
        self.classes = classes_of(graph)
        self.outputs = frozenset(graph.outputs)

    @cached_property
    def after(self) -> tuple[int, ...]:
        """Per node the set of all nodes that need it, as the bits of a number."""
        found = [0] * len(self.readers)
        for here in reversed(range(len(found))):
            for reader in self.readers[here]:
                found[here] |= found[reader] | 1 << reader
        return tuple(found)

    def op(self, node: int) -> str:
        """The op of a node."""
        return self.graph.nodes[node].op

    def ids(self, nodes: Sequence[int]) -> tuple[str, ...]:
        """The ids of nodes."""
        return tuple(self.graph.nodes[i].id for i in nodes)

    def exit_code(self, nodes: Nodes) -> str:
        """Why another than the last node gives a value to outside; "" if none does."""
        inside = frozenset(nodes)
        for node in nodes[:-1]:
            if self.ends[node]:
                return "model-output"
            if not inside.issuperset(self.readers[node]):
                return "two-readers"
        return ""

    def entries(self, nodes: Nodes) -> set[str]:
        """The values that enter from outside, constants of the model apart."""
        inside = [self.graph.nodes[i] for i in nodes]
        made = {value for node in inside for value in node.outputs}
        read = {value for node in inside for value in node.inputs if value}
        return {v for v in read - made if v not in self.graph.constants}

    def components(self, nodes: Nodes) -> Partition:
        """Cut nodes into parts that no edge joins, in the order of their first nodes."""
        left = set(nodes)
        found: list[Nodes] = []
        for first in nodes:
            if first in left:
                part = self._joined(first, left)
                left -= part
                found.append(tuple(sorted(part)))
        return tuple(found)

    def _joined(self, first: int, among: set[int]) -> set[int]:
        seen = {first}
        todo = [first]
        while todo:
            here = todo.pop()
            near = among.intersection((*self.readers[here], *self.makers[here])) - seen
            seen |= near
            todo += near
        return seen


def turned(readers: Sequence[Sequence[int]]) -> tuple[Nodes, ...]:
    """Per node those that it reads, from the readers of each, ascending."""
    found: list[list[int]] = [[] for _ in readers]
    for maker, nodes in enumerate(readers):
        for node in nodes:
            found[node].append(maker)
    return tuple(map(tuple, found))
