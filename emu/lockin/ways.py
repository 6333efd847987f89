"""The ways in which the operands of each node of a graph can lie, and the body that each makes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from emu.ir.body import Body
from emu.ir.graph import Graph, Node
from emu.ir.layout import LAYOUTS, ROW_MAJOR
from emu.ir.passes.operand_layouts import Sides, sides
from emu.kernels.libraries import LIBRARIES
from emu.layouts import stored
from emu.lockin.layouts import lies_in


@dataclass(frozen=True)
class Way:
    """How the operands of a node lie, and the node as a body then."""

    sides: Sides
    body: Body

    def lies_in(self, layouts: frozenset[str]) -> bool:
        """Whether all its values lie in some of the layouts."""
        return all(lies_in(type, layouts) for type in self.body.types)

    def is_taken(self, depth: str) -> bool:
        """Whether a kernel of a depth takes it."""
        return _takes(depth, self.body)


@lru_cache(maxsize=65536)
def _takes(depth: str, body: Body) -> bool:
    return any(kernel.refusal(body) is None for kernel in LIBRARIES[depth].kernels)


Ways = tuple[Way, ...]


def ways_of(graph: Graph) -> Mapping[str, Ways]:
    """The ways of each node by its id, row-major first; equal ones are one object."""
    same: dict[Ways, Ways] = {}
    made = ((node.id, tuple(_ways(graph, node))) for node in graph.nodes)
    return {id: same.setdefault(ways, ways) for id, ways in made}


def _ways(graph: Graph, node: Node) -> Iterator[Way]:
    rows = Sides((ROW_MAJOR,) * len(node.inputs), ROW_MAJOR)
    schemes = (scheme for family in LAYOUTS.values() for scheme in family)
    found = (sides(graph, node, scheme) for scheme in dict.fromkeys(schemes))
    for how in dict.fromkeys((rows, *found)):
        if how is not None:
            yield Way(how, stored(graph, node, how))
