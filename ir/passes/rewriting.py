"""What every pass ends with: a new body, and the bookkeeping that keeps a graph honest."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

from emu.ir.body import freeze
from emu.ir.graph import Constant, Graph, Node
from emu.ir.types import TensorType


def rebuilt(
    graph: Graph,
    nodes: Iterable[Node],
    constants: Mapping[str, Constant] | None = None,
) -> Graph:
    """Return ``graph`` with another body and, if given, more ``constants``.

    Constants and types that nothing mentions any more are dropped; model nodes that no node stands
    for any more are remembered as folded.
    """
    body = tuple(nodes)
    known = {**graph.constants, **(constants or {})}
    read = {v for node in body for v in node.inputs} | set(graph.outputs)
    kept = {name: constant for name, constant in known.items() if name in read}
    return replace(
        graph,
        nodes=body,
        constants=kept,
        types=_types(graph, body, kept),
        folded=_folded(graph, body),
    )


def reading(node: Node, alias: Mapping[str, str]) -> Node:
    """Return a node that reads each value under the name that ``alias`` has for it."""
    if alias.keys().isdisjoint(node.inputs):
        return node
    return replace(node, inputs=tuple(alias.get(v, v) for v in node.inputs))


def derived_key(what: str, parts: Iterable[object]) -> str:
    """Return a constant's key that is equal exactly if the same rule met the same parts."""
    return f"{what}:{sha256(repr(tuple(parts)).encode()).hexdigest()[:32]}"


def node_key(node: Node, keys: Iterable[str], output: int) -> str:
    """Return the key of output number ``output`` of a node whose inputs are constants."""
    return derived_key(node.op, (freeze(node.attrs), tuple(keys), output))


def joined(*sources: tuple[str, ...]) -> tuple[str, ...]:
    """Return all sources in order, each once."""
    return tuple(dict.fromkeys(s for source in sources for s in source))


def fresh(graph: Graph, name: str) -> str:
    """Return ``name``, or with primes behind it the first name that the graph does not have."""
    while name in graph.types:
        name += "'"
    return name


def _types(
    graph: Graph, body: tuple[Node, ...], constants: Mapping[str, Constant]
) -> dict[str, TensorType]:
    computed = (v for node in body for v in node.outputs)
    types = {v: graph.types[v] for v in (*graph.inputs, *computed) if v in graph.types}
    return types | {name: constant.type for name, constant in constants.items()}


def _folded(graph: Graph, body: tuple[Node, ...]) -> tuple[str, ...]:
    stood = (s for node in graph.nodes for s in node.source)
    stand = {s for node in body for s in node.source}
    return joined(graph.folded, tuple(s for s in stood if s not in stand))
