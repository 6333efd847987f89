"""What an op makes of a layout: which of its operands lie in it, and whether it has a place for it.

Values of another rank (biases, scalars, masks without all dimensions) stay row-major beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from emu.ir.graph import Graph, Node
from emu.ir.layout import IMAGE_PRODUCTS, ROW_MAJOR, STORED, Scheme, is_row_major
from emu.ir.ops import OPS, Fusion
from emu.ir.ops.attributes import integer

MATRICES = frozenset(("MatMul", "Gemm", "MatMulInteger"))
IMAGE_OPS = frozenset(("MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Concat", "Split"))
REDUCTIONS = frozenset(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"))
ROW_OPS = frozenset(("Softmax", "LogSoftmax", "LayerNormalization", "Transpose"))


@dataclass(frozen=True, slots=True)
class Sides:
    """The layouts of the operands of a node, in order, and of all that it makes."""

    ins: tuple[str, ...]
    outs: str


def is_product(node: Node, scheme: Scheme) -> bool:
    """Whether a node is a product of the kind that the scheme is for."""
    return node.op in (IMAGE_PRODUCTS if scheme.images else MATRICES)


def sides(graph: Graph, node: Node, scheme: Scheme) -> Sides | None:
    """Return how a node's values lie under a scheme, None if the op has no place for it."""
    data = STORED[scheme.data]
    ends = node.inputs[:2] if is_product(node, scheme) else ()
    stored = all(data.stores(len(graph.types[v].shape)) for v in (*ends, *node.outputs))
    if not stored or not _suits(graph, node, scheme):
        return None
    ins = [lies(graph, v, scheme) for v in node.inputs]
    outs = {lies(graph, v, scheme) for v in node.outputs}
    if data.name not in (*ins, *outs) or len(outs) > 1:
        return None
    if is_product(node, scheme):
        ins[1] = scheme.weight if integer(node.attrs, "group", 1) == 1 else scheme.grouped
    return Sides(tuple(ins), outs.pop())


def lies(graph: Graph, value: str, scheme: Scheme) -> str:
    """The layout of a value where nodes work in a scheme; row-major if that is the same bytes."""
    if not value:
        return ROW_MAJOR
    dims = graph.types[value].dims
    stays = not STORED[scheme.data].stores(len(dims)) or is_row_major(scheme.data, dims)
    return ROW_MAJOR if stays else scheme.data


def _suits(graph: Graph, node: Node, scheme: Scheme) -> bool:
    if is_product(node, scheme) or OPS[node.op].fusion <= Fusion.BROADCAST:
        return True
    if node.op in ("Concat", "Split"):
        return scheme.images and _whole_granules(graph, node, scheme)
    if node.op in REDUCTIONS:
        return not scheme.images and bool(integer(node.attrs, "keepdims", 1))
    return node.op in (IMAGE_OPS if scheme.images else ROW_OPS)


def _whole_granules(graph: Graph, node: Node, scheme: Scheme) -> bool:
    """Whether the parts of a Concat or Split begin where granules do."""
    parts = node.inputs if node.op == "Concat" else node.outputs
    types = [graph.types[v] for v in parts]
    axis = integer(node.attrs, "axis", 0) % len(types[0].shape)
    stored = STORED[scheme.data]
    if not stored.stores(len(types[0].shape)):
        return False
    return all(t.dims[axis] % stored.granule[axis] == 0 for t in types)


def products(graph: Graph, scheme: Scheme) -> Iterator[tuple[Node, Sides]]:
    """Yield the products that could work in a scheme, with how their values would lie."""
    for node in graph.nodes:
        found = sides(graph, node, scheme) if is_product(node, scheme) else None
        if found is not None:
            yield node, found
