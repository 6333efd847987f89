"""Real numbers in fewer bits: f32 values become f16 or bf16, and the model's interface stays.

Each node then computes in f32 and rounds its result once, as the op table says, so values do not
depend on how nodes are grouped.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from emu.ir.graph import Attrs, Constant, Graph, Node
from emu.ir.passes.infer_types import infer_types
from emu.ir.passes.rewriting import derived_key, fresh, rebuilt
from emu.ir.types import LARGEST, Array, TensorType, narrowed

SCALE_AT = {"QuantizeLinear": 1, "DequantizeLinear": 1, "DequantizeAdd": 2}


def lower_precision(graph: Graph, dtype: str) -> Graph:
    """Return ``graph`` with every f32 value in ``dtype`` but inputs, outputs, scales and sums.

    Inputs and outputs get a Cast; weights are rounded when they are loaded.
    """
    kept = _kept(graph)
    names = {v: _renamed(graph, v, dtype) for v in _lowered(graph, kept)}
    constants = {v: _rounded(graph.constants[v], dtype) for v in names if v in graph.constants}
    nodes = [*_entries(graph, names, dtype), *_nodes(graph, names, dtype)]
    return infer_types(rebuilt(graph, nodes, constants))


def _kept(graph: Graph) -> set[str]:
    """Scales, and sums that a product leaves in an element type of its own, stay as they are."""
    scales = {n.inputs[SCALE_AT[n.op]] for n in graph.nodes if n.op in SCALE_AT}
    return scales | {n.output for n in graph.nodes if "out_dtype" in n.attrs}


def _lowered(graph: Graph, kept: set[str]) -> Iterator[str]:
    return (v for v, type in graph.types.items() if type.dtype == "f32" and v not in kept)


def _renamed(graph: Graph, value: str, dtype: str) -> str:
    """Inputs and outputs keep their names for the f32 side of their Cast."""
    outside = value in graph.inputs or (value in graph.outputs and value in graph.producer)
    return fresh(graph, f"{value}.{dtype}") if outside else value


def _entries(graph: Graph, names: dict[str, str], dtype: str) -> Iterator[Node]:
    for value in graph.inputs:
        if value in names and (readers := graph.readers.get(value)):
            yield _cast(value, names[value], dtype, readers[0].source)


def _nodes(graph: Graph, names: dict[str, str], dtype: str) -> Iterator[Node]:
    for node in graph.nodes:
        yield replace(
            node,
            inputs=tuple(names.get(v, v) for v in node.inputs),
            outputs=tuple(names.get(v, v) for v in node.outputs),
            attrs=_attrs(node, names, dtype),
        )
        for value in node.outputs:
            if value in names and value in graph.outputs:
                yield _cast(names[value], value, "f32", node.source)


def _attrs(node: Node, names: dict[str, str], dtype: str) -> Attrs:
    to = node.attrs.get("to")
    return {**node.attrs, "to": dtype} if to == "f32" and node.output in names else node.attrs


def _cast(source: str, target: str, dtype: str, model_nodes: tuple[str, ...]) -> Node:
    return Node(f"{target}.cast", "Cast", (source,), (target,), {"to": dtype}, model_nodes)


def _rounded(constant: Constant, dtype: str) -> Constant:
    inline = constant.inline
    return Constant(
        TensorType(dtype, constant.type.shape, constant.type.layout),
        derived_key(f"as {dtype}", (constant.key,)),
        lambda: _within_range(constant.load(), dtype),
        None if inline is None else _within_range(inline, dtype),
    )


def _within_range(array: Array, dtype: str) -> Array:
    """A finite number, such as the -3e38 of a mask, stays finite."""
    largest = LARGEST[dtype]
    finite = np.where(np.isfinite(array), np.clip(array, -largest, largest), array)
    return narrowed(finite, dtype)
