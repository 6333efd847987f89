"""Products of eight-bit integers by BLAS: real numbers are exact as long as sums stay small."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.conv import conv, slides
from emu.kernels.fast.inputs import integer

Product: TypeAlias = Callable[[tuple[Array, ...], Attrs], Array]
# None where real numbers would not be exact.
Exact: TypeAlias = Callable[[tuple[Array, ...], Attrs], Array | None]
EXACT_IN_F32 = 2**24  # every whole number up to here is an f32


def conv_integer(ins: tuple[Array, ...], attrs: Attrs) -> Array | None:
    """Return ``[N,M,OH,OW]`` in i32; None where sums could leave what f32 holds exactly."""
    weight = _sums_of_sizes(ins[1], attrs, tuple(range(1, ins[1].ndim)))
    return _exact(conv, ins, attrs, weight) if slides(ins, attrs) else None


def matmul_integer(ins: tuple[Array, ...], attrs: Attrs) -> Array | None:
    """Return ``a[...,M,K] @ b[...,K,N]`` in i32; None where f32 could not hold the sums."""
    return _exact(_matmul, ins, attrs, _sums_of_sizes(ins[1], attrs, (-2,)))


def _matmul(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    del attrs
    return np.matmul(*ins)


def _sums_of_sizes(w: Array, attrs: Attrs, reduced: tuple[int, ...]) -> int:
    """The largest sum of absolute weights that one output adds up."""
    sizes = np.abs(w.astype(np.int32) - integer(attrs, "w_zero_point", 0))
    return int(np.max(np.sum(sizes, axis=reduced), initial=0))


def _exact(run: Product, ins: tuple[Array, ...], attrs: Attrs, weight: int) -> Array | None:
    x, w = ins
    real = _centred(x, attrs, "x_zero_point")
    if float(np.max(np.abs(real), initial=0.0)) * weight >= EXACT_IN_F32:
        return None
    return run((real, _centred(w, attrs, "w_zero_point")), attrs).astype(np.int32)


def _centred(q: Array, attrs: Attrs, name: str) -> Array:
    return q.astype(np.float32) - np.float32(integer(attrs, name, 0))


INTEGER: dict[str, Exact] = {"ConvInteger": conv_integer, "MatMulInteger": matmul_integer}
