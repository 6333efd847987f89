"""Arithmetic in other words: each site is one or two nodes that compute the same numbers."""

from dataclasses import replace

import numpy as np

from emu.ir.graph import Graph, Node
from emu.ir.passes.canonicalise import COMMUTATIVE
from emu.ir.passes.rewriting import fresh
from emu.ir.spellings.constants import derived, number
from emu.ir.spellings.site import Site, Spelling, fresh_id, inner
from emu.ir.types import REALS, Array

TWO, HALF = 2.0, 0.5
GATES = ("Erf", "Tanh")


def _is_real(graph: Graph, node: Node) -> bool:
    return graph.types[node.output].dtype in REALS


def division(graph: Graph, node: Node) -> Site | None:
    """x / c is x * (1/c)."""
    divisor = graph.constants.get(node.inputs[1]) if node.op == "Div" else None
    if divisor is None or not _is_real(graph, node):
        return None
    name = fresh(graph, f"{node.output}.inverse")
    inverse = derived("inverse", [divisor], divisor.type.dims, _inverse)
    product = replace(node, op="Mul", inputs=(node.inputs[0], name))
    return Site((node.id,), (product,), {name: inverse})


def _inverse(array: Array) -> Array:
    with np.errstate(divide="ignore"):  # x / 0 is infinite, and so is x * (1/0)
        return 1 / array


def scale(graph: Graph, node: Node) -> Site | None:
    """(a @ b) * c is (a*c) @ b; of a and b, the first that the model computes is scaled."""
    product = inner(graph, node.inputs[0], "MatMul") if node.op in ("Div", "Mul") else None
    constant = graph.constants.get(node.inputs[1]) if product is not None else None
    if product is None or constant is None or constant.scalar is None:
        return None
    side = next((i for i, v in enumerate(product.inputs) if v in graph.producer), 0)
    operand = product.inputs[side]
    if len(constant.type.shape) > len(graph.types[operand].shape):
        return None
    scaled = fresh(graph, f"{node.output}.operand")
    before = replace(node, inputs=(operand, node.inputs[1]), outputs=(scaled,))
    inputs = tuple(scaled if i == side else v for i, v in enumerate(product.inputs))
    after = replace(product, inputs=inputs, outputs=node.outputs)
    return Site((product.id, node.id), (before, after))


def operands(graph: Graph, node: Node) -> Site | None:
    """a + b is b + a, and so for every op whose operands commute."""
    if node.op not in COMMUTATIVE or node.inputs[0] == node.inputs[1]:
        return None
    return Site((node.id,), (replace(node, inputs=node.inputs[::-1]),))


def gelu_constant(graph: Graph, node: Node) -> Site | None:
    """x * g * 0.5 is x * 0.5 * g and back, where g is 1 + erf(..) or 1 + tanh(..)."""
    if node.op != "Mul":
        return None
    for outer, rest in (node.inputs, node.inputs[::-1]):
        product = inner(graph, rest, "Mul")
        if product is None:
            continue
        for x, other in (product.inputs, product.inputs[::-1]):
            if {_part(graph, outer), _part(graph, other)} == {"half", "gate"}:
                return _turned(node, product, x, (outer, other))
    return None


def _turned(node: Node, product: Node, x: str, factors: tuple[str, str]) -> Site:
    """x times the two ``factors``, the first one first."""
    first = replace(product, inputs=(x, factors[0]))
    second = replace(node, inputs=(product.output, factors[1]))
    return Site((product.id, node.id), (first, second))


def _part(graph: Graph, value: str) -> str:
    """Which of the two factors of a GELU beside x this is: "half", "gate" or ""."""
    known = graph.constants.get(value)
    if known is not None:
        return "half" if known.scalar == HALF else ""
    made = graph.producer.get(value)
    makers = [graph.producer[v].op for v in made.inputs if v in graph.producer] if made else []
    return "gate" if made and made.op == "Add" and makers and makers[0] in GATES else ""


def square(graph: Graph, node: Node) -> Site | None:
    """x to the power 2 is x * x."""
    exponent = graph.constants.get(node.inputs[1]) if node.op == "Pow" else None
    if exponent is None or exponent.scalar != TWO or exponent.type.shape not in ((), (1,)):
        return None
    return Site((node.id,), (replace(node, op="Mul", inputs=(node.inputs[0],) * 2),))


def reciprocal(graph: Graph, node: Node) -> Site | None:
    """x / sqrt(v) is x * (1 / sqrt(v))."""
    root = inner(graph, node.inputs[1], "Sqrt") if node.op == "Div" else None
    if root is None:
        return None
    inverse = fresh(graph, f"{root.output}.inverse")
    turned = Node(
        fresh_id(graph, root, "inverse"), "Reciprocal", root.outputs, (inverse,), source=root.source
    )
    product = replace(node, op="Mul", inputs=(node.inputs[0], inverse))
    return Site((node.id,), (turned, product))


def relu(graph: Graph, node: Node) -> Site | None:
    """relu(x) is max(x, 0)."""
    if node.op != "Relu" or not _is_real(graph, node):
        return None
    zero = fresh(graph, f"{node.output}.zero")
    largest = replace(node, op="Max", inputs=(node.inputs[0], zero), attrs={})
    return Site((node.id,), (largest,), {zero: number(graph.types[node.output].dtype, 0.0)})


ARITHMETIC = (
    Spelling("division", "x / c as x * (1/c)", division),
    Spelling("scale", "(a @ b) / c as (a / c) @ b", scale),
    Spelling("operands", "operands of commutative ops swapped", operands),
    Spelling("gelu-constant", "x * g * 0.5 as x * 0.5 * g in GELU, or back", gelu_constant),
    Spelling("square", "x to the power 2 as x * x", square),
)
MORE_ARITHMETIC = (
    Spelling("reciprocal", "x / sqrt(v) as x * (1 / sqrt(v))", reciprocal),
    Spelling("relu", "relu(x) as max(x, 0)", relu),
)
