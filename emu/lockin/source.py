"""Source programs: a model as a user would write it, with what no plain graph can say."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from emu.ir.graph import Graph
from emu.lockin.ways import Ways, ways_of


@dataclass(frozen=True)
class Source:
    """A graph, the values that the program reads on the host in the middle, and free dimensions."""

    graph: Graph
    reads: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    @cached_property
    def ways(self) -> Mapping[str, Ways]:
        """The ways in which the operands of each node can lie."""
        return ways_of(self.graph)

    def segments(self) -> tuple[Graph, ...]:
        """The graph cut after the node that makes each value which is read in the middle."""
        ends = sorted(self.graph.position[self.graph.producer[v].id] + 1 for v in self.reads)
        starts = [0, *ends]
        stops = [*ends, len(self.graph.nodes)]
        return tuple(
            _segment(self.graph, start, stop) for start, stop in zip(starts, stops, strict=True)
        )


def _segment(graph: Graph, start: int, stop: int) -> Graph:
    """Some neighbouring nodes as a graph of their own."""
    nodes = graph.nodes[start:stop]
    made = {v for node in nodes for v in node.outputs}
    read = dict.fromkeys(v for node in nodes for v in node.inputs if v and v not in made)
    later = {v for node in graph.nodes[stop:] for v in node.inputs} | set(graph.outputs)
    return Graph(
        graph.name,
        tuple(v for v in read if v not in graph.constants),
        tuple(v for node in nodes for v in node.outputs if v in later),
        nodes,
        graph.types,
        graph.constants,
    )
