"""A graph as numbers: who reads whom, by position; what fusion walks over."""

from collections.abc import Sequence
from dataclasses import dataclass

from emu.ir.graph import Graph
from emu.ir.ops import find_op
from emu.ir.ops.decide import DECIDE


@dataclass(frozen=True, slots=True)
class Wiring:
    """Per node the positions of its readers, in order and without doubles.

    ``ends`` says whether a node gives a value to the end of the graph: an output or a dead value.
    """

    readers: tuple[tuple[int, ...], ...]
    ends: tuple[bool, ...]


def wiring_of(graph: Graph) -> Wiring:
    """Return the readers of every node of ``graph``.

    What the host decides by comes between the nodes before and those after: it counts as a reader
    of the ones and as a maker for the others, so that no group has nodes of both.
    """
    producer = {value: i for i, node in enumerate(graph.nodes) for value in node.outputs}
    read = _readers(producer, [node.inputs for node in graph.nodes])
    readers = _fenced(graph, read)
    outputs = set(graph.outputs)
    ends = (
        not found or not outputs.isdisjoint(node.outputs)
        for node, found in zip(graph.nodes, read, strict=True)
    )
    return Wiring(readers, tuple(ends))


def classes_of(graph: Graph) -> tuple[int, ...]:
    """Return the fusion class of every node; raise UnsupportedOp for an op without a rule."""
    return tuple(find_op(n.op, f"{graph.name}: node '{n.id}'").fusion for n in graph.nodes)


def _fenced(graph: Graph, readers: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    fences = [i for i, node in enumerate(graph.nodes) if node.op == DECIDE]
    if not fences:
        return readers
    found = [dict.fromkeys(r) for r in readers]
    for first, fence in zip((0, *(f + 1 for f in fences[:-1])), fences, strict=True):
        for here in range(first, fence):
            if not any(reader < fence for reader in readers[here]):
                found[here][fence] = None
    for fence, last in zip(fences, (*fences[1:], len(readers)), strict=True):
        inside = range(fence + 1, last)
        fed = {reader for here in inside for reader in readers[here]}
        found[fence].update((here, None) for here in inside if here not in fed)
    return tuple(tuple(sorted(f)) for f in found)


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
