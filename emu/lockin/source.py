"""Source programs: a model as a user would write it, with what no plain graph can say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from emu.ir.body import Body, body_of
from emu.ir.errors import DynamicShape
from emu.ir.graph import Graph
from emu.lockin.ways import Ways, ways_of


@dataclass(frozen=True)
class Source:
    """A graph, the values that the program reads on the host in the middle, and free dimensions.

    ``dtype`` is the element type that is asked for, "" where a stack computes in what it does.
    """

    graph: Graph
    reads: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    bound: Callable[[int], Graph] | None = field(default=None, compare=False)
    dtype: str = ""

    def of_size(self, size: int) -> "Source":
        """The program with its open dimension bound, by ``bound``, to another number.

        Raises DynamicShape if it leaves none open.
        """
        if not self.symbols or self.bound is None:
            raise DynamicShape("the program is run", "shapes as numbers", f"a dimension of {size}")
        return replace(self, graph=self.bound(size))

    @cached_property
    def bodies(self) -> Mapping[str, Body]:
        """Each node as a body, by its id; equal ones are one object."""
        same: dict[Body, Body] = {}
        made = ((node.id, body_of(self.graph, [node]).body) for node in self.graph.nodes)
        return {id: same.setdefault(body, body) for id, body in made}

    @cached_property
    def first(self) -> Mapping[str, str]:
        """For each node the first one with an equal body, which may be itself, by their ids."""
        first: dict[Body, str] = {}
        return {id: first.setdefault(body, id) for id, body in self.bodies.items()}

    @cached_property
    def ways(self) -> Mapping[str, Ways]:
        """The ways in which the operands of each node can lie."""
        return ways_of(self.graph)

    def segments(self) -> tuple[Graph, ...]:
        """The graph cut after the node that makes each value which is read in the middle.

        What is read leaves its segment, as does what a later segment needs.
        """
        graph = self.graph
        if not self.reads:
            return (graph,)
        ends = {graph.position[graph.producer[v].id] + 1 for v in self.reads}
        cuts = sorted({0, *ends, len(graph.nodes)})
        read = frozenset(self.reads)
        return tuple(_segment(graph, start, stop, read) for start, stop in pairwise(cuts))


def _segment(graph: Graph, start: int, stop: int, leave: frozenset[str]) -> Graph:
    """Some neighbouring nodes as a graph of their own, which values in ``leave`` leave too."""
    nodes = graph.nodes[start:stop]
    made = {v for node in nodes for v in node.outputs}
    read = dict.fromkeys(v for node in nodes for v in node.inputs if v and v not in made)
    later = {v for node in graph.nodes[stop:] for v in node.inputs} | set(graph.outputs) | leave
    return Graph(
        graph.name,
        tuple(v for v in read if v not in graph.constants),
        tuple(v for node in nodes for v in node.outputs if v in later),
        nodes,
        graph.types,
        {v: graph.constants[v] for v in read if v in graph.constants},
    )
