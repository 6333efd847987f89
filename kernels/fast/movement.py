"""Ops that only move elements, of any type: parts copied to where they go, one after the other."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.ops.indexing import check_indices
from emu.ir.types import Array
from emu.kernels.fast.inputs import integer, integers
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call

Arrays: TypeAlias = Sequence[Array]
# The steps that move inputs into results; the last says whether the second input never changes.
Move: TypeAlias = Callable[[Arrays, Attrs, Arrays, bool], tuple[Call, ...]]


def _cut(x: Array, sizes: Sequence[int], axis: int) -> list[Array]:
    """Views of the parts of ``x`` along an axis."""
    ends = [*accumulate(sizes)]
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(end - n, end))] for n, end in zip(sizes, ends, strict=True)]


def _concat(ins: Arrays, attrs: Attrs, outs: Arrays, fixed: bool) -> tuple[Call, ...]:
    axis = integer(attrs, "axis", 0)
    places = _cut(outs[0], [x.shape[axis] for x in ins], axis)
    return tuple(copy_step(p, x) for p, x in zip(places, ins, strict=True) if x.size)


def _split(ins: Arrays, attrs: Attrs, outs: Arrays, fixed: bool) -> tuple[Call, ...]:
    parts = _cut(ins[0], integers(attrs, "sizes"), integer(attrs, "axis", 0))
    return tuple(copy_step(out, part) for out, part in zip(outs, parts, strict=True))


def _gather(ins: Arrays, attrs: Attrs, outs: Arrays, fixed: bool) -> tuple[Call, ...]:
    """Indices that never change are checked here, others in each run; see the op table."""
    x, indices = ins
    axis = integer(attrs, "axis", 0)
    check = partial(check_indices, indices, x.shape[axis])
    take = partial(np.take, x, indices, axis, outs[0], "wrap")  # from the end, if negative
    if not fixed:
        return (check, take)
    check()
    return (take,)


MOVES: dict[str, Move] = {"Concat": _concat, "Split": _split, "Gather": _gather}
