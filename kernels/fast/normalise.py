"""Normalisations and folds of rows."""

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.chain import alone, folds_last, row_writer
from emu.kernels.fast.inputs import integer, number
from emu.kernels.fast.steps import REDUCING
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import FIRST, Call, InTurn, Writer, calling


def _softmax(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """Along the last dimension as it lies; along another by copies in which that is the last."""
    axis = integer(attrs, "axis", -1) % out.ndim
    if axis == out.ndim - 1:
        return alone("Softmax", ins, attrs, out)
    seen, made = (np.moveaxis(a, axis, -1) for a in (ins[0], out))
    room = np.empty(made.shape, np.float32)
    inner = alone("Softmax", (room,), {}, room)
    return InTurn((copy_step(room, seen), inner, copy_step(made, room)))


def _batch_norm(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    """One multiply-add with what ``scale, bias, mean, variance`` (each ``[C]``) fold to."""
    x, scale, bias, mean, variance = ins
    factor = scale / np.sqrt(variance + np.float32(number(attrs, "epsilon", 1e-5)))
    shape = (-1, *(1 for _ in x.shape[2:]))
    np.multiply(x, factor.reshape(shape), out=out)
    np.add(out, (bias - mean * factor).reshape(shape), out=out)


def _reducing(op: str) -> Writer:
    def covers(ins: tuple[Array, ...], attrs: Attrs) -> bool:
        return ins[0].size > 0 and folds_last(op, attrs, ins[0].ndim)

    return row_writer(op, FIRST, covers)


NORMALISE: dict[str, Writer] = {
    "Softmax": Writer(_softmax, FIRST),
    "LayerNormalization": row_writer("LayerNormalization", FIRST),
    "BatchNormalization": calling(_batch_norm, FIRST),
    **{op: _reducing(op) for op in REDUCING},
}
