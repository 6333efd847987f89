"""Compute equal things once: ops have no effects, so equal op, attributes and inputs agree."""

from dataclasses import replace

from emu.ir.body import freeze
from emu.ir.graph import Graph, Node
from emu.ir.passes.rewriting import joined, reading, rebuilt


def merge_common(graph: Graph) -> Graph:
    """Return ``graph`` with the first of equal nodes, and of equal constants, in place of all.

    The survivor stands for the sources of all. A node that defines an output of the graph keeps
    its name and therefore stays.
    """
    alias = _equal_constants(graph)
    nodes: dict[str, Node] = {}
    sources: dict[
        str, list[tuple[str, ...]]
    ] = {}  # joined at the end: one node may have many twins
    first: dict[object, str] = {}
    for node in graph.nodes:
        renamed = reading(node, alias)
        same = first.setdefault((node.op, renamed.inputs, freeze(node.attrs)), node.id)
        if same == node.id or set(node.outputs) & set(graph.outputs):
            nodes[node.id] = renamed
            continue
        sources.setdefault(same, [nodes[same].source]).append(node.source)
        alias.update(zip(node.outputs, nodes[same].outputs, strict=True))
    for id, merged in sources.items():
        nodes[id] = replace(nodes[id], source=joined(*merged))
    return rebuilt(graph, nodes.values())


def _equal_constants(graph: Graph) -> dict[str, str]:
    """Return for each constant the first one with its key and type."""
    first: dict[object, str] = {}
    return {
        name: first.setdefault((constant.key, constant.type), name)
        for name, constant in graph.constants.items()
        if name not in graph.outputs
    }
