"""Drop what no output depends on: without a reader a value has no effect."""

from emu.ir.graph import Graph, Node
from emu.ir.passes.rewriting import rebuilt


def remove_dead(graph: Graph) -> Graph:
    """Return ``graph`` without nodes and constants that no output depends on."""
    needed = set(graph.outputs)
    alive: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            alive.append(node)
            needed.update(node.inputs)
    return rebuilt(graph, reversed(alive))
