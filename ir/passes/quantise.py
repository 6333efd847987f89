"""Static quantisation: the operands of products with constant weights get eight bits and a scale.

The result is in QDQ form: what a product reads is quantised where it is made and dequantised where
it is read. Scales are symmetric: the largest size that calibration saw becomes the largest number.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from emu.ir.graph import Constant, Graph, Node
from emu.ir.ops import OPS
from emu.ir.ops.attributes import integer
from emu.ir.passes.infer_types import infer_types
from emu.ir.passes.integer_products import KEEPS
from emu.ir.passes.rewriting import derived_key, fresh, rebuilt
from emu.ir.types import LARGEST, Array, TensorType

# The largest size of each named value while the graph runs on calibration inputs.
Observe: TypeAlias = Callable[[Graph, tuple[str, ...]], Mapping[str, float]]
I8_LARGEST = 127.0  # and as much below 0, so that 0 is in the middle
PRODUCTS = ("Conv", "MatMul", "Gemm")
SCALAR = TensorType("f32", ())


def quantise(graph: Graph, dtype: str, observe: Observe) -> Graph:
    """Return ``graph`` in QDQ form with operands of products in ``dtype`` (i8 or f8E4M3FN).

    Weights of i8 have a scale for each output channel, all else has one. ``observe`` is asked only
    when a scale of an activation is loaded.
    """
    products = [node for node in graph.nodes if _is_quantised(graph, node)]
    roots = {v: r for node in products for v, r in _chain(graph, node.inputs[0])}
    scales = _scales(graph, tuple(dict.fromkeys(roots.values())), dtype, observe)
    making = _Making(graph, dtype, {v: scales[r] for v, r in roots.items()})
    nodes = tuple(making.nodes({node.id for node in products}))
    return infer_types(rebuilt(graph, nodes, making.constants))


def _is_quantised(graph: Graph, node: Node) -> bool:
    if node.op not in PRODUCTS:
        return False
    x, w = node.inputs[:2]
    real = graph.types[x].dtype == graph.types[w].dtype == "f32"
    return real and w in graph.constants and x not in graph.constants and _has_rank(graph, w)


def _has_rank(graph: Graph, weight: str) -> bool:
    return len(graph.types[weight].shape) > 1


def _chain(graph: Graph, value: str) -> Iterator[tuple[str, str]]:
    """A value and those that it is only moved or chosen from, each with the first of all."""
    chain = [value]
    while (node := graph.producer.get(chain[-1])) is not None and node.op in KEEPS:
        if node.inputs[0] in graph.constants or graph.types[node.inputs[0]].dtype != "f32":
            break
        chain.append(node.inputs[0])
    return ((v, chain[-1]) for v in chain)


def _scales(
    graph: Graph, roots: tuple[str, ...], dtype: str, observe: Observe
) -> dict[str, Constant]:
    """A constant scale for each root; all are found in one calibration, when one is loaded."""
    seen = lru_cache(maxsize=1)(lambda: observe(graph, roots))

    def scale(root: str) -> Constant:
        key = derived_key("scale of", (graph.name, root, dtype, roots))
        return Constant(SCALAR, key, lambda: _scale(np.float32(seen()[root]), dtype))

    return {root: scale(root) for root in roots}


def _scale(size: Array | np.float32, dtype: str) -> Array:
    """The number that the largest size is a multiple of; 1 where there is nothing but zeros."""
    scale = np.asarray(size, np.float32) / np.float32(LARGEST.get(dtype, I8_LARGEST))
    return np.where(scale > 0, scale, np.float32(1))


class _Making:
    """The QDQ form while it is made; ``scales`` are those of the values to quantise."""

    def __init__(self, graph: Graph, dtype: str, scales: Mapping[str, Constant]) -> None:
        self.graph = graph
        self.dtype = dtype
        self.scales = scales
        self.constants: dict[str, Constant] = {}

    def nodes(self, products: set[str]) -> Iterator[Node]:
        """All nodes in order, each behind what its operands need."""
        for value in self.graph.inputs:
            if value in self.scales:
                yield self.quantised(value, self.graph.readers[value][0].source)
        for node in self.graph.nodes:
            inputs = list(node.inputs)
            for at, value in enumerate(node.inputs):
                if value in self.scales:
                    yield self.restored(node, at, value, self.scale_name(value))
                    inputs[at] = self.real_name(node, at)
            if node.id in products:
                yield self.weight(node)
                inputs[1] = self.real_name(node, 1)
            yield replace(node, inputs=tuple(inputs))
            if node.output in self.scales:
                yield self.quantised(node.output, node.source)

    def quantised(self, value: str, source: tuple[str, ...]) -> Node:
        """Round a value to eight bits."""
        scale = self.scale_name(value)
        self.constants[scale] = self.scales[value]
        attrs = {"to": self.dtype, "zero_point": 0}
        out = self.eight_bits(value)
        return Node(f"{out}.made", "QuantizeLinear", (value, scale), (out,), attrs, source)

    def restored(self, node: Node, at: int, quantised: str, scale: str, axis: int = 1) -> Node:
        """Make operand number ``at`` of a node a real number again."""
        out = self.real_name(node, at)
        ins, attrs = (self.eight_bits(quantised), scale), {"to": "f32", "axis": axis}
        return Node(f"{out}.made", "DequantizeLinear", ins, (out,), attrs, node.source)

    def weight(self, node: Node) -> Node:
        """Keep the weight of a product in eight bits."""
        name = node.inputs[1]
        constant, axis = self.graph.constants[name], _channels(self.graph, node)
        scale = _weight_scale(constant, self.dtype, axis)
        self.constants[self.scale_name(name)] = scale
        self.constants[self.eight_bits(name)] = _eight_bits(constant, scale, self.dtype, axis)
        return self.restored(node, 1, name, self.scale_name(name), axis)

    def eight_bits(self, value: str) -> str:
        return fresh(self.graph, f"{value}.{self.dtype}")

    def scale_name(self, value: str) -> str:
        return fresh(self.graph, f"{value}.scale")

    def real_name(self, node: Node, at: int) -> str:
        return fresh(self.graph, f"{node.output}.operand{at}")


def _channels(graph: Graph, node: Node) -> int:
    """The dimension of a weight that makes the channels of the result."""
    if node.op == "Conv":
        return 0
    rows_first = node.op == "Gemm" and integer(node.attrs, "transB", 0)
    return 0 if rows_first else len(graph.types[node.inputs[1]].shape) - 1


def _weight_scale(weight: Constant, dtype: str, axis: int) -> Constant:
    """For i8 one scale for each channel, for f8, which has an exponent of its own, one for all."""
    rank = len(weight.type.shape)
    others = tuple(d for d in range(rank) if dtype != "i8" or d != axis)
    type = TensorType("f32", (weight.type.shape[axis],) if dtype == "i8" else ())

    def load() -> Array:
        return _scale(np.max(np.abs(weight.load()), axis=others), dtype)

    return Constant(type, derived_key(f"scale for {dtype}", (weight.key, axis)), load)


def _eight_bits(weight: Constant, scale: Constant, dtype: str, axis: int) -> Constant:
    type = TensorType(dtype, weight.type.shape)
    quantise_by = OPS["QuantizeLinear"].run

    def load() -> Array:
        return quantise_by(weight.load(), scale.load(), to=dtype, axis=axis)

    return Constant(type, derived_key(f"weight in {dtype}", (weight.key, axis)), load)
