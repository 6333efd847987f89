"""Drop what no output depends on: without a reader a value has no effect.

A node whose types occurred stays: that they occur again is what the rest was compiled for.
"""

from emu.ir.graph import Graph, Node
from emu.ir.passes.rewriting import rebuilt


def remove_dead(graph: Graph) -> Graph:
    """Return ``graph`` without nodes and constants that no output depends on."""
    needed = set(graph.outputs)
    alive: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs) or node.has_occurred:
            alive.append(node)
            needed.update(node.inputs)
    return rebuilt(graph, reversed(alive))
