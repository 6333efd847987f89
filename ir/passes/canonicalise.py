"""One spelling for equal things, so that later passes need to know one only.

No rule adds a node, and none turns an op into another: fusion finds the groups of the model.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from emu.ir.graph import Attrs, Graph, Node
from emu.ir.ops.attributes import integers
from emu.ir.passes.rewriting import joined, reading, rebuilt

COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min", "Equal", "And", "Or"})


def canonicalise(graph: Graph) -> Graph:
    """Return ``graph`` in canonical spelling, with at most as many nodes."""
    return constants_right(without_copies(join_movements(without_copies(graph))))


def without_copies(graph: Graph) -> Graph:
    """Drop Identity, and Transpose, Reshape and Cast that change nothing.

    The dropped node's source goes to the node before it. One that defines an output stays.
    """
    alias: dict[str, str] = {}
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        renamed = reading(node, alias)
        if node.output in graph.outputs or not _copies(graph, renamed):
            nodes[node.id] = renamed
            continue
        alias[node.output] = renamed.inputs[0]
        before = graph.producer.get(renamed.inputs[0])
        if before is not None:
            kept = nodes[before.id]
            nodes[before.id] = replace(kept, source=joined(kept.source, node.source))
    return rebuilt(graph, nodes.values())


def join_movements(graph: Graph) -> Graph:
    """Read through a Transpose of a Transpose, a Reshape of a Reshape: each only renames positions.

    The inner one goes, and leaves its source, if nobody else reads it.
    """
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        before = graph.producer.get(node.inputs[0]) if node.inputs else None
        inner = nodes.get(before.id) if before is not None else None
        attrs = _joint_attrs(graph, inner, node) if inner is not None else None
        if inner is None or attrs is None:
            nodes[node.id] = node
            continue
        alone = _has_one_reader(graph, inner.output)
        if alone:
            del nodes[inner.id]
        source = joined(inner.source, node.source) if alone else node.source
        nodes[node.id] = replace(node, inputs=inner.inputs, attrs=attrs, source=source)
    return rebuilt(graph, nodes.values())


def constants_right(graph: Graph) -> Graph:
    """Where operands commute, let a constant stand on the right."""
    return rebuilt(graph, (_turned(graph, node) for node in graph.nodes))


def _turned(graph: Graph, node: Node) -> Node:
    if node.op not in COMMUTATIVE:
        return node
    left, right = node.inputs
    if left not in graph.constants or right in graph.constants:
        return node
    return replace(node, inputs=(right, left))


def _copies(graph: Graph, node: Node) -> bool:
    if node.op == "Identity":
        return True
    if node.op == "Transpose":
        perm = _perm(graph, node)
        return perm == tuple(range(len(perm)))
    same = node.op in ("Reshape", "Cast")
    return same and graph.types[node.inputs[0]] == graph.types[node.output]


def _joint_attrs(graph: Graph, inner: Node, outer: Node) -> Attrs | None:
    """Return the attributes of one node that does what both do, None if there is none."""
    join = _JOINS.get(outer.op)
    return join(graph, inner, outer) if join is not None and inner.op == outer.op else None


def _joint_transpose(graph: Graph, inner: Node, outer: Node) -> Attrs | None:
    first, second = _perm(graph, inner), _perm(graph, outer)
    return {"perm": tuple(first[i] for i in second)}


def _joint_reshape(graph: Graph, inner: Node, outer: Node) -> Attrs | None:
    # The last shape spelled out, since a 0 in it would now look at another input.
    shape = graph.types[outer.output].dims
    return None if 0 in shape else {"shape": shape}


_JOINS: Mapping[str, Callable[[Graph, Node, Node], Attrs | None]] = {
    "Transpose": _joint_transpose,
    "Reshape": _joint_reshape,
}


def _perm(graph: Graph, node: Node) -> tuple[int, ...]:
    rank = len(graph.types[node.output].shape)
    return integers(node.attrs, "perm") or tuple(reversed(range(rank)))


def _has_one_reader(graph: Graph, value: str) -> bool:
    return value not in graph.outputs and len(graph.readers[value]) == 1
