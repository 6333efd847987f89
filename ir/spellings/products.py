"""Products in another grouping: one packed product for several, a product and a sum for Gemm."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emu.ir.graph import Constant, Graph, Node
from emu.ir.ops.attributes import integer, number
from emu.ir.passes.rewriting import fresh, joined
from emu.ir.spellings.constants import derived
from emu.ir.spellings.site import Site, Spelling, fresh_id
from emu.ir.types import Array


def packed(graph: Graph, node: Node) -> Site | None:
    """x @ a, x @ b, x @ c are the columns of x @ [a b c], each with its bias if all have one."""
    products = [n for n in graph.readers.get(node.inputs[0], ()) if _is_linear(graph, n, node)]
    if len(products) < 2 or products[0].id != node.id:
        return None
    sums = [_bias_of(graph, product) for product in products]
    biased = [add for add in sums if add is not None]
    ends = biased if len(biased) == len(products) else products
    removed = {n.id: n for n in (*products, *ends)}
    gone = tuple(sorted(removed, key=graph.position.__getitem__))
    return _packed_site(graph, gone, products, ends)


def _packed_site(
    graph: Graph, gone: tuple[str, ...], products: Sequence[Node], ends: Sequence[Node]
) -> Site:
    first = products[0]
    whole, weight, bias = (fresh(graph, f"{first.output}.packed{w}") for w in ("", ".w", ".b"))
    constants = {weight: _side_by_side([graph.constants[n.inputs[1]] for n in products])}
    source = joined(*(n.source for n in products))
    nodes = [replace(first, inputs=(first.inputs[0], weight), outputs=(whole,), source=source)]
    if ends[0].id != first.id:
        constants[bias] = _side_by_side([graph.constants[_bias_name(graph, n)] for n in ends])
        summed = fresh(graph, f"{ends[0].output}.packed")
        source = joined(*(n.source for n in ends))
        add = replace(ends[0], inputs=(whole, bias), outputs=(summed,), source=source)
        nodes, whole = [*nodes, add], summed
    sizes = tuple(graph.types[n.output].dims[-1] for n in ends)
    axis = len(graph.types[first.output].shape) - 1
    outputs = tuple(n.output for n in ends)
    split = Node(
        fresh_id(graph, first, "split"), "Split", (whole,), outputs, source=nodes[-1].source
    )
    split = replace(split, attrs={"axis": axis, "sizes": sizes})
    return Site(gone, (*nodes, split), constants, first=True)


def _side_by_side(parts: Sequence[Constant]) -> Constant:
    shape = (*parts[0].type.dims[:-1], sum(p.type.dims[-1] for p in parts))
    return derived("side by side", parts, shape, lambda *arrays: np.concatenate(arrays, -1))


def _is_linear(graph: Graph, node: Node, like: Node) -> bool:
    """Whether this is ``like``'s input times a matrix of constants, as ``like`` is."""
    if node.op != "MatMul" or node.inputs[0] != like.inputs[0] or like.op != "MatMul":
        return False
    weight = graph.constants.get(node.inputs[1])
    return weight is not None and len(weight.type.shape) == 2


def _bias_of(graph: Graph, product: Node) -> Node | None:
    """The only reader of a product if it adds a vector of constants as long as a row."""
    readers = graph.readers.get(product.output, ())
    if product.output in graph.outputs or len(readers) != 1 or readers[0].op != "Add":
        return None
    bias = graph.constants.get(_bias_name(graph, readers[0]))
    return readers[0] if bias and bias.type.dims == graph.types[product.output].dims[-1:] else None


def _bias_name(graph: Graph, add: Node) -> str:
    return next((v for v in add.inputs if v in graph.constants), "")


def gemm(graph: Graph, node: Node) -> Site | None:
    """Gemm with constant weights is a MatMul and an Add."""
    weight = graph.constants.get(node.inputs[1]) if node.op == "Gemm" else None
    if weight is None or len(node.inputs) != 3 or integer(node.attrs, "transA", 0):
        return None
    if number(node.attrs, "alpha", 1.0) != 1 or number(node.attrs, "beta", 1.0) != 1:
        return None
    name, product = fresh(graph, f"{node.output}.w"), fresh(graph, f"{node.output}.product")
    turned = integer(node.attrs, "transB", 0)
    shape = weight.type.dims[::-1] if turned else weight.type.dims
    constant = derived(f"turned {turned}", [weight], shape, _turned if turned else _as_it_is)
    matmul = Node(
        fresh_id(graph, node, "product"),
        "MatMul",
        (node.inputs[0], name),
        (product,),
        source=node.source,
    )
    add = replace(node, op="Add", inputs=(product, node.inputs[2]), attrs={})
    return Site((node.id,), (matmul, add), {name: constant})


def _turned(array: Array) -> Array:
    return array.T


def _as_it_is(array: Array) -> Array:
    return array


PRODUCTS = (
    Spelling("packed", "products that share an input as one product and a Split", packed),
    Spelling("gemm", "Gemm as MatMul and Add", gemm),
)
