"""Matrix products, arranged so that each is as few and as large BLAS calls as possible."""

from functools import partial

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.inputs import integer, number
from emu.kernels.fast.tiled import SUMS_AT_ONCE
from emu.kernels.fast.writer import Call, Held, Writer, calling, shares


def matmul(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """``x[...,M,K] @ w[...,K,N]``; as one product of matrices where ``w`` is a matrix."""
    del attrs
    x, w = ins
    if w.ndim != 2 or x.size == 0 or not x.flags.c_contiguous:
        return _batched(x, w, out)
    return partial(_product, x.reshape(-1, x.shape[-1]), w, out.reshape(-1, w.shape[1]))


def _batched(x: Array, w: Array, out: Array) -> Call:
    """One product for each of the matrices, which may be split between threads."""
    if min(x.ndim, w.ndim) < 2 or out.ndim < 3:
        return partial(_product, x, w, out)
    batch = out.shape[:-2]
    x, w = (np.broadcast_to(a, (*batch, *a.shape[-2:])) for a in (x, w))
    before = (slice(None),) * batch.index(max(batch))

    def split(parts: int) -> list[Call]:
        cuts = [(*before, slice(*r)) for r in shares(max(batch), parts)]
        return [partial(_product, x[cut], w[cut], out[cut]) for cut in cuts]

    sums = out.size * x.shape[-1]
    return Held(_product, x, w, out, held=(), work=sums // SUMS_AT_ONCE, split=split)


def _product(x: Array, w: Array, out: Array) -> None:
    np.matmul(_for_blas(x), _for_blas(w), out=out)


def _for_blas(x: Array) -> Array:
    """Return ``x``, copied if neither of its last two dimensions is dense: BLAS would refuse it."""
    return x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x)


def gemm(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    """``alpha * a[M,K] @ b[K,N] + beta * c``, with a and b transposed first if asked."""
    a, b, *bias = ins
    a = a.T if integer(attrs, "transA", 0) else a
    b = b.T if integer(attrs, "transB", 0) else b
    _product(a, b, out)
    _scale(out, number(attrs, "alpha", 1.0))
    beta = np.float32(number(attrs, "beta", 1.0))
    for c in bias:
        np.add(out, c if beta == 1 else c * beta, out=out)


def _scale(x: Array, factor: float) -> None:
    if factor != 1:
        np.multiply(x, np.float32(factor), out=x)


PRODUCTS: dict[str, Writer] = {"MatMul": Writer(matmul), "Gemm": calling(gemm)}
