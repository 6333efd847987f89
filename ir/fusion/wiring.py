"""A graph as numbers: who reads whom, by position; what fusion walks over."""

from collections.abc import Sequence
from dataclasses import dataclass

from emu.ir.graph import Graph
from emu.ir.ops import find_op


@dataclass(frozen=True, slots=True)
class Wiring:
    """Per node the positions of its readers, in order and without doubles.

    ``ends`` says whether a node gives a value to the end of the graph: an output or a dead value.
    """

    readers: tuple[tuple[int, ...], ...]
    ends: tuple[bool, ...]


def wiring_of(graph: Graph) -> Wiring:
    """Return the readers of every node of ``graph``."""
    producer = {value: i for i, node in enumerate(graph.nodes) for value in node.outputs}
    readers = _readers(producer, [node.inputs for node in graph.nodes])
    outputs = set(graph.outputs)
    ends = (
        not found or not outputs.isdisjoint(node.outputs)
        for node, found in zip(graph.nodes, readers, strict=True)
    )
    return Wiring(readers, tuple(ends))


def classes_of(graph: Graph) -> tuple[int, ...]:
    """Return the fusion class of every node; raise UnsupportedOp for an op without a rule."""
    return tuple(find_op(n.op, f"{graph.name}: node '{n.id}'").fusion for n in graph.nodes)


def _readers(
    producer: dict[str, int], inputs: Sequence[Sequence[str]]
) -> tuple[tuple[int, ...], ...]:
    found: list[dict[int, None]] = [{} for _ in inputs]
    for here, values in enumerate(inputs):
        for value in values:
            source = producer.get(value, here)
            if source != here:
                found[source][here] = None
    return tuple(tuple(f) for f in found)
