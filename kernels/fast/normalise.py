"""Normalisations, on blocks of rows that stay in a core's cache."""

from collections.abc import Iterator
from math import prod

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.inputs import integer, number
from emu.kernels.fast.writer import FIRST, Writer, calling

BLOCK = 2**16  # elements; 256 KiB, a quarter of a core's own cache


def _row_blocks(x: Array, out: Array, length: int) -> Iterator[Array]:
    """Fill ``out`` with ``x`` and yield it as views ``[rows,length]``, some rows at a time."""
    if x is not out:
        np.copyto(out, x)
    rows = out.reshape(-1, length) if out.size else out.reshape(0, 1)
    step = max(1, BLOCK // max(length, 1))
    for start in range(0, rows.shape[0], step):
        yield rows[start : start + step]


def _softmax(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    axis = integer(attrs, "axis", -1) % out.ndim
    for block in _row_blocks(ins[0], out, prod(out.shape[axis:])):
        _softmax_rows(block.reshape(block.shape[0], out.shape[axis], -1))


def _softmax_rows(x: Array) -> None:
    """``x[rows,K,inner]`` becomes exp(x - largest) over its sum along K."""
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)


def _layer_norm(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    shape = out.shape[integer(attrs, "axis", -1) % out.ndim :]
    scale, *bias = (np.broadcast_to(a, shape).reshape(-1) for a in ins[1:])
    epsilon = np.float32(number(attrs, "epsilon", 1e-5))
    for block in _row_blocks(ins[0], out, prod(shape)):
        block -= block.mean(axis=-1, keepdims=True)
        block /= np.sqrt(np.square(block).mean(axis=-1, keepdims=True) + epsilon)
        block *= scale
        for row in bias:
            block += row


def _batch_norm(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    """One multiply-add with what ``scale, bias, mean, variance`` (each ``[C]``) fold to."""
    x, scale, bias, mean, variance = ins
    factor = scale / np.sqrt(variance + np.float32(number(attrs, "epsilon", 1e-5)))
    shape = (-1, *(1 for _ in x.shape[2:]))
    np.multiply(x, factor.reshape(shape), out=out)
    np.add(out, (bias - mean * factor).reshape(shape), out=out)


NORMALISE: dict[str, Writer] = {
    "Softmax": calling(_softmax, FIRST),
    "LayerNormalization": calling(_layer_norm, FIRST),
    "BatchNormalization": calling(_batch_norm, FIRST),
}
