"""The reference interpreter: what a graph means, one node at a time, in numpy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from emu.ir.errors import BadValues
from emu.ir.graph import Graph, Node
from emu.ir.held import canonical, value_type
from emu.ir.ops import find_op
from emu.ir.types import HELD, NAMES, Array


def interpret(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return every output of ``graph`` by name; constants are loaded when they are first read.

    Raises BadValues if ``inputs`` are not those that the graph declares, by name, shape and dtype.
    """
    check_inputs(graph, inputs)
    values = dict(inputs)
    for node, dead in zip(graph.nodes, _last_reads(graph), strict=True):
        results = run_node(node, [_value(graph, values, v) for v in node.inputs])
        values.update(zip(node.outputs, results, strict=True))
        for value in dead:
            values.pop(value, None)
    return {value: _known(graph, values, value) for value in graph.outputs}


def run_node(node: Node, arrays: Sequence[Array | None]) -> tuple[Array, ...]:
    """Return the outputs of one node for its inputs in order, None where one is absent.

    Raises BadValues, with the node named, if the op cannot take these values.
    """
    meaning = find_op(node.op, f"node '{node.id}'").run
    try:
        result = meaning(*arrays, **node.attrs)
    except BadValues as error:
        raise type(error)(f"node '{node.id}' ({node}): {error}") from error
    several = cast(tuple[Array, ...], result if isinstance(result, tuple) else (result,))
    return tuple(canonical(array) for array in several)


def check_inputs(graph: Graph, inputs: Mapping[str, Array]) -> None:
    """Raise BadValues unless ``inputs`` has each input of ``graph`` and nothing else."""
    wanted = ", ".join(f"{v}: {graph.types[v]}" for v in graph.inputs) or "none"
    if unknown := sorted(inputs.keys() - set(graph.inputs)):
        raise BadValues(f"{graph.name} has no input '{unknown[0]}'; its inputs are {wanted}")
    for name in graph.inputs:
        if name not in inputs:
            raise BadValues(f"input '{name}' is missing; {graph.name} takes {wanted}")
        _check_input(graph, name, inputs[name])


def _check_input(graph: Graph, name: str, array: Array) -> None:
    declared = graph.types[name]
    if declared.dtype in HELD and value_type(array) == declared:
        return
    dtype = NAMES.get(array.dtype, str(array.dtype))
    if dtype != declared.dtype or tuple(array.shape) != declared.shape:
        given = f"{'x'.join(str(d) for d in array.shape)} of {dtype}"
        raise BadValues(f"input '{name}' must be {declared}, not {given}")


def _value(graph: Graph, values: dict[str, Array], name: str) -> Array | None:
    return _known(graph, values, name) if name else None


def _known(graph: Graph, values: dict[str, Array], name: str) -> Array:
    if name not in values:
        values[name] = graph.constants[name].load()
    return values[name]


def _last_reads(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Yield for each node the values that no later node reads, so that memory is freed."""
    last = {v: i for i, node in enumerate(graph.nodes) for v in (*node.inputs, *node.outputs)}
    kept = set(graph.outputs)
    for i, node in enumerate(graph.nodes):
        mine = dict.fromkeys((*node.inputs, *node.outputs))
        yield tuple(v for v in mine if last[v] == i and v not in kept)
