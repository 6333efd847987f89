"""Normalisations of rows by structure: what a rule of the pattern table finds in one spelling only.

x less its mean over the last dimension; a second mean, of what follows from that alone; and then
what is element by element. All of it needs one row at a time, however squares, quotients and roots
are written, so the scopes beyond patterns know it in any spelling.
"""

from collections.abc import Iterator

from emu.ir.fusion.structure import Nodes, Structure
from emu.ir.graph import Node
from emu.ir.ops import Fusion

MEANS = 2
MOST_NODES = 16  # nine in the usual spelling; beyond this a search would only cost time


def row_norms(structure: Structure) -> tuple[Nodes, ...]:
    """Return the nodes of every normalisation of rows, each with one exit, its last node."""
    return tuple(filter(None, (_grown(structure, *start) for start in _starts(structure))))


def _starts(structure: Structure) -> Iterator[tuple[int, int]]:
    """Every mean over rows that only the subtraction from its own input reads."""
    for mean, node in enumerate(structure.graph.nodes):
        if not _is_mean(structure, node) or len(structure.readers[mean]) != 1:
            continue
        (centred,) = structure.readers[mean]
        reader = structure.graph.nodes[centred]
        if reader.op == "Sub" and reader.inputs == (node.inputs[0], node.output):
            yield mean, centred


def _grown(structure: Structure, mean: int, centred: int) -> Nodes:
    """The largest group that grows from the two and has one exit; () if it has no second mean."""
    inside, means, closed = {mean, centred}, 1, ()
    while len(inside) < MOST_NODES and (new := _next(structure, inside, means)) is not None:
        inside.add(new)
        means += _is_mean(structure, structure.graph.nodes[new])
        nodes = tuple(sorted(inside))
        if means == MEANS and not structure.exit_code(nodes):
            closed = nodes
        elif closed:
            break
    return closed


def _next(structure: Structure, inside: set[int], means: int) -> int | None:
    """The first node after those inside that needs nothing else but constants, and rows only."""
    near = {r for node in inside for r in structure.readers[node]} - inside
    return next((n for n in sorted(near) if _joins(structure, n, inside, means)), None)


def _joins(structure: Structure, here: int, inside: set[int], means: int) -> bool:
    node, graph = structure.graph.nodes[here], structure.graph
    simple = structure.classes[here] <= Fusion.BROADCAST
    if not simple and not (means < MEANS and _is_mean(structure, node)):
        return False
    made = {v for i in inside for v in graph.nodes[i].outputs}
    return all(v in made or v in graph.constants for v in node.inputs if v)


def _is_mean(structure: Structure, node: Node) -> bool:
    if node.op != "ReduceMean" or node.attrs.get("keepdims", 1) != 1:
        return False
    last = len(structure.graph.types[node.inputs[0]].shape) - 1
    return node.attrs.get("axes") in ((-1,), (last,))
