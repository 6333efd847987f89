"""Normalisations and folds of rows."""

from math import prod

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.chain import alone, folds_last, row_writer
from emu.kernels.fast.inputs import integer, integers
from emu.kernels.fast.steps import REDUCING, SCALED, scale_and_shift
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import FIRST, Bind, Call, InTurn, Writer


def _along(op: str) -> Bind:
    """Along the last dimension as it lies; along another by copies in which that is the last."""

    def bind(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
        axis = integer(attrs, "axis", -1) % out.ndim
        if axis == out.ndim - 1:
            return alone(op, ins, attrs, out)
        seen, made = (np.moveaxis(a, axis, -1) for a in (ins[0], out))
        room = np.empty(made.shape, np.float32)
        inner = alone(op, (room,), {}, room)
        return InTurn((copy_step(room, seen), inner, copy_step(made, room)))

    return bind


def _batch_norm(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """One multiply-add with what ``scale, bias, mean, variance`` (each ``[C]``) come to."""
    x, *numbers = ins
    made = tuple(np.empty_like(numbers[0]) for _ in range(2))

    def prepare() -> None:
        for room, found in zip(made, scale_and_shift(numbers, attrs), strict=True):
            np.copyto(room, found)

    return InTurn((prepare, alone(SCALED, (x, *made), {}, out)))


def _reducing(op: str) -> Writer:
    """Over the last dimensions as they lie; over others by a copy in which those are the last."""

    def bind(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
        (x,) = ins
        if folds_last(op, attrs, x.ndim):
            return alone(op, ins, attrs, out)
        axes = sorted({a % x.ndim for a in integers(attrs, "axes")})
        seen = np.moveaxis(x, axes, range(-len(axes), 0))
        kept = seen.shape[: -len(axes)]
        room = np.empty((*kept, prod(seen.shape[-len(axes) :])), np.float32)
        turn = copy_step(room.reshape(seen.shape), seen)
        last: Attrs = {"axes": (-1,), "keepdims": 0}
        return InTurn((turn, alone(op, (room,), last, out.reshape(kept))))

    return Writer(bind, FIRST, lambda ins, attrs: ins[0].size > 0)


NORMALISE: dict[str, Writer] = {
    "Softmax": Writer(_along("Softmax"), FIRST),
    "LogSoftmax": Writer(_along("LogSoftmax"), FIRST),
    "LayerNormalization": row_writer("LayerNormalization", FIRST),
    "BatchNormalization": Writer(_batch_norm, FIRST),
    **{op: _reducing(op) for op in REDUCING},
}
