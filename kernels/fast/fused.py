"""Products that take what follows them into their tiles: bias, residual, ReLU or clipping."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from emu.ir.body import Body, BodyNode
from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.conv import bind_conv, slides
from emu.kernels.fast.inputs import F32, integer, number
from emu.kernels.fast.tiled import Ending, product, rows_of
from emu.kernels.fast.transposed import bind_transposed
from emu.kernels.fast.writer import Call

Ins: TypeAlias = tuple[Array, ...]
Bind: TypeAlias = Callable[[Ins, Attrs, Array, Ending], Call]


@dataclass(frozen=True, slots=True)
class Product:
    """How to bind a product of ``x`` and fixed weights; results have channels along ``axis``."""

    bind: Bind
    covers: Callable[[Ins, Attrs], bool]
    axis: int
    adds: bool = True  # something of the result's shape, in its tiles


@dataclass(frozen=True)
class Fusion:
    """A product of a body, bound later, that ends with node ``upto``."""

    product: Product
    ins: Ins
    attrs: Attrs
    ending: Ending
    upto: int

    def bind(self, out: Array) -> Call | None:
        """The step that computes into ``out``; None if what is added lies there or otherwise."""
        more = self.ending.more
        if more is not None and (more.strides != out.strides or np.may_share_memory(more, out)):
            return None
        return self.product.bind(self.ins, self.attrs, out, self.ending)


def _matmul(ins: Ins, attrs: Attrs, out: Array, ending: Ending) -> Call:
    del attrs
    x, w = ins
    return product(x, w, out, ending)


def _gemm(ins: Ins, attrs: Attrs, out: Array, ending: Ending) -> Call:
    x, w = ins
    return product(x, w.T if integer(attrs, "transB", 0) else w, out, ending)


def _has_rows(ins: Ins, attrs: Attrs) -> bool:
    """Whether rows of the first lie evenly, and the second is a matrix to be held in tiles."""
    del attrs
    x, w = ins
    mapped = isinstance(w.base, np.memmap)  # passes by, of whatever size
    return w.ndim == 2 and x.size > 0 and w.size > 0 and not mapped and rows_of(x) is not None


def _is_plain(ins: Ins, attrs: Attrs) -> bool:
    scaled = number(attrs, "alpha", 1.0) != 1 or number(attrs, "beta", 1.0) != 1
    return not scaled and not integer(attrs, "transA", 0) and _has_rows(ins, attrs)


PRODUCTS: Mapping[str, Product] = {
    "Conv": Product(bind_conv, slides, 1),
    "ConvTranspose": Product(bind_transposed, slides, 1, adds=False),
    "MatMul": Product(_matmul, _has_rows, -1),
    "Gemm": Product(_gemm, _is_plain, -1),
}


def fusion(body: Body, at: int, known: Mapping[int, Array]) -> Fusion | None:
    """The product that node ``at`` is, with as many nodes right behind it as it can take in."""
    node = body.nodes[at]
    if node.op not in PRODUCTS or not _are_fixed(body, node.ins[1:2]):
        return None
    kind, attrs = PRODUCTS[node.op], dict(node.attrs)
    x, w, *bias = (known[v] for v in node.ins)
    if {a.dtype for a in (x, w, *bias)} != {F32} or "out_dtype" in attrs:
        return None
    ending = _begun(body, node, kind, bias[0]) if bias else Ending()
    if ending is None or not kind.covers((x, w), attrs):
        return None
    return _followed(body, Fusion(kind, (x, w), attrs, ending, at), known)


def _begun(body: Body, node: BodyNode, kind: Product, addend: Array) -> Ending | None:
    """What a product ends with that adds its own third input; None if tiles cannot."""
    shape = body.types[node.out].dims
    if _are_fixed(body, node.ins[2:]):
        channels = _per_channel(addend, shape, kind.axis)
        return None if channels is None else Ending(channels)
    return Ending(more=addend) if addend.shape == shape and kind.adds else None


def _are_fixed(body: Body, values: tuple[int, ...]) -> bool:
    return body.weights.issuperset(values)


def _per_channel(b: Array, shape: tuple[int, ...], axis: int) -> Array | None:
    """A bias as ``[M]``, if it has one number for each channel and none along other dimensions."""
    channels = shape[axis]
    if b.size != channels or b.ndim > len(shape):
        return None
    if b.ndim == 1 and axis == 1:
        return b  # that of a convolution
    where = len(shape) - b.ndim
    wanted = [1] * b.ndim
    if axis % len(shape) >= where:
        wanted[axis % len(shape) - where] = channels
    return b.reshape(-1) if list(b.shape) == wanted else None


def _followed(body: Body, begun: Fusion, known: Mapping[int, Array]) -> Fusion:
    """Take in the nodes that follow, as long as each reads nothing but the one before."""
    found = begun
    while found.upto + 1 < len(body.nodes):
        value, node = body.nodes[found.upto].out, body.nodes[found.upto + 1]
        if value in body.outputs or body.readers.get(value) != (found.upto + 1,):
            break
        ending = _with(body, found, value, node, known)
        if ending is None:
            break
        found = replace(found, ending=ending, upto=found.upto + 1)
    return found


def _with(
    body: Body, so_far: Fusion, value: int, node: BodyNode, known: Mapping[int, Array]
) -> Ending | None:
    """What a product ends with if ``node`` is taken in; None if it cannot be."""
    ending, attrs = so_far.ending, dict(node.attrs)
    if (ending.low, ending.high) != (-np.inf, np.inf) or "out_dtype" in attrs:
        return None
    if node.op == "Relu":
        return replace(ending, low=0.0)
    if node.op == "Clip" and len(node.ins) == 1:
        low, high = number(attrs, "min", -np.inf), number(attrs, "max", np.inf)
        return replace(ending, low=low, high=high)
    if node.op not in ("Add", "BiasAdd") or node.ins.count(value) != 1 or ending.more is not None:
        return None
    (other,) = (v for v in node.ins if v != value)
    if other not in known:
        return None
    return _plus(body, so_far, node, other, known[other])


def _plus(body: Body, so_far: Fusion, node: BodyNode, other: int, array: Array) -> Ending | None:
    shape, axis = body.types[node.out].dims, so_far.product.axis
    if array.dtype != F32:
        return None
    if array.shape == shape and node.op == "Add" and so_far.product.adds:
        return replace(so_far.ending, more=array)
    if node.op == "BiasAdd" and (integer(dict(node.attrs), "axis", 1) - axis) % len(shape):
        return None
    if so_far.ending.bias is not None or not _are_fixed(body, (other,)):
        return None
    if node.op == "Add" and array.ndim == 1 and axis == 1:
        return None  # along the last dimension, not along channels
    bias = _per_channel(array, shape, axis)
    return None if bias is None else replace(so_far.ending, bias=bias)
