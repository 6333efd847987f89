"""Ops that look up places: by indices, of the largest elements, between neighbours.

Everything is seen as ``[outer, entries, inner]`` around an axis; what lies otherwise is copied.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import import_module
from math import prod
from typing import Any, TypeAlias

import numpy as np

from emu.ir.errors import BadValues
from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.inputs import F32, integer
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call, Held

Arrays: TypeAlias = Sequence[Array]
Calls: TypeAlias = tuple[Call, ...]
Ints: TypeAlias = tuple[int, ...]
ITEMS = (4, 8)  # bytes of elements that are moved one by one
MOST_FOUND = 64  # places of a line that are found by insertion, with as many comparisons for each


def native() -> Any:
    """The module of compiled look-ups; numba is imported for those who look up only."""
    return import_module("emu.kernels.native.places")


def naming(run: Callable[..., object]) -> Callable[..., None]:
    """``run``, which raises BadValues for an index that is outside."""

    def call(*words: object) -> None:
        try:
            run(*words)
        except IndexError as error:
            index, entries = error.args
            raise BadValues(f"index {index} is outside of {entries} entries") from error

    return call


@cache
def looking_up() -> Callable[..., None]:
    """What a step here calls."""
    return naming(native().run_places)


class _Steps:
    """The steps that look something up, with copies of what does not lie densely before them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def dense(self, x: Array) -> Array:
        """``x``, or a copy in each run that is dense."""
        if x.flags.c_contiguous:
            return x
        room = np.empty(x.shape, x.dtype)
        self.calls.append(copy_step(room, x))
        return room

    def indices(self, given: Array) -> Array:
        """``given`` as dense int64."""
        if given.dtype == np.int64:
            return self.dense(given)
        room = np.empty(given.shape, np.int64)
        self.calls.append(partial(np.copyto, room, given))
        return room

    def look_up(
        self, kind: int, out: Array, x: Array, indices: Array, sizes: Ints, *more: Array
    ) -> Calls:
        """All steps; ``sizes`` are the words from "outer" on, which point to ``more``."""
        addresses = (a.ctypes.data for a in (out, x, indices))
        words = np.array([kind, *addresses, *sizes], np.int64)
        work = max(out.size, x.size, indices.size)
        step = Held(looking_up(), words, held=(out, x, indices, *more), work=work)
        return (*self.calls, step)


def gather(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """Parts at indices along an axis, the same for each outer index."""
    (x, indices), (out,) = ins, outs
    if x.dtype.hasobject:
        return None
    steps, axis = _Steps(), integer(attrs, "axis", 0) % x.ndim
    x, indices = steps.dense(x), steps.indices(indices)
    outer, entries, inner = _around(x.shape, axis)
    sizes = (outer, indices.size, entries, inner, x.itemsize, 0, 1, entries)
    return steps.look_up(native().TAKE, out, x, indices, sizes)


def gather_nd(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """Parts at rows of indices, those of each outer index for themselves."""
    (x, indices), (out,) = ins, outs
    if x.dtype.hasobject:
        return None
    steps, batch = _Steps(), integer(attrs, "batch_dims", 0)
    x, indices = steps.dense(x), steps.indices(indices)
    sizes = _by_rows(x, indices, batch)
    return steps.look_up(native().TAKE, out, x, indices, sizes)


def scatter_nd(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """A copy with parts put at rows of indices, one after the other."""
    (x, indices, updates), (out,) = ins, outs
    if x.dtype.hasobject or attrs.get("reduction", "none") != "none":
        return None
    steps = _Steps()
    indices, updates = steps.indices(indices), steps.dense(updates)
    steps.calls.append(copy_step(out, x))
    return steps.look_up(native().PUT, out, updates, indices, _by_rows(x, indices, 0))


def gather_elements(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """An element for each index along an axis."""
    (x, indices), (out,) = ins, outs
    axis = integer(attrs, "axis", 0) % x.ndim
    if not _goes_along(x, indices, axis):
        return None
    steps = _Steps()
    x, indices = steps.dense(x), steps.indices(indices)
    return steps.look_up(native().TAKE_ALONG, out, x, indices, _by_element(x, indices, axis))


def scatter_elements(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """A copy with an element put, or a real number added, at each index along an axis."""
    (x, indices, updates), (out,) = ins, outs
    axis, reduction = integer(attrs, "axis", 0) % x.ndim, attrs.get("reduction", "none")
    adds = reduction == "add" and x.dtype == F32
    if not _goes_along(x, indices, axis) or not (adds or reduction == "none"):
        return None
    steps, kind = _Steps(), native().ADD_ALONG if adds else native().PUT_ALONG
    indices, updates = steps.indices(indices), steps.dense(updates)
    steps.calls.append(copy_step(out, x))
    return steps.look_up(kind, out, updates, indices, _by_element(x, indices, axis))


def top_places(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """Where the first elements in order are."""
    kind = native().LARGEST if integer(attrs, "largest", 1) else native().SMALLEST
    return _found(kind, ins[0], integer(attrs, "k", 1), integer(attrs, "axis", -1), outs[0])


def arg_max(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """Where the largest element is, or the first NaN."""
    return _extreme(native().HIGHEST, ins[0], attrs, outs[0])


def arg_min(ins: Arrays, attrs: Attrs, outs: Arrays) -> Calls | None:
    """Where the smallest element is, or the first NaN."""
    return _extreme(native().LOWEST, ins[0], attrs, outs[0])


def _extreme(kind: int, x: Array, attrs: Attrs, out: Array) -> Calls | None:
    if integer(attrs, "select_last_index", 0):
        return None
    return _found(kind, x, 1, integer(attrs, "axis", 0), out)


def _found(kind: int, x: Array, count: int, axis: int, out: Array) -> Calls | None:
    if x.dtype != F32 or count > MOST_FOUND:
        return None
    steps = _Steps()
    x = steps.dense(x)
    outer, entries, inner = _around(x.shape, axis % x.ndim)
    return steps.look_up(kind, out, x, out, (outer, count, entries, inner, x.itemsize, 0, 0))


def _around(shape: Ints, axis: int) -> tuple[int, int, int]:
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _goes_along(x: Array, indices: Array, axis: int) -> bool:
    """Whether there is an index for each place of the other dimensions, and an item is moved."""
    alike = indices.shape == (*x.shape[:axis], indices.shape[axis], *x.shape[axis + 1 :])
    return alike and x.itemsize in ITEMS and not x.dtype.hasobject


def _by_element(x: Array, indices: Array, axis: int) -> Ints:
    outer, entries, inner = _around(x.shape, axis)
    return outer, indices.shape[axis], entries, inner, x.itemsize, 0, 0


def _by_rows(x: Array, indices: Array, batch: int) -> Ints:
    depth = indices.shape[-1]
    named = x.shape[batch : batch + depth]
    outer, count = prod(x.shape[:batch]), prod(indices.shape[batch:-1])
    inner = prod(x.shape[batch + depth :])
    step = count * depth * indices.itemsize
    return outer, count, prod(named), inner, x.itemsize, step, depth, *named


def blended(out: Array, x: Array, axis: int, low: Array, share: Array) -> Calls:
    """What lies ``share`` of the way from entries ``low`` along an axis to those that follow.

    ``low`` and ``share`` have a number for each result along the axis; both arrays are dense f32.
    """
    outer, entries, inner = _around(x.shape, axis)
    pairs = np.stack([low, np.minimum(low + 1, entries - 1)], -1).astype(np.int64)
    shares = share.astype(np.float32)
    sizes = (outer, low.size, entries, inner, x.itemsize, 0, 2, shares.ctypes.data)
    return _Steps().look_up(native().BLEND, out, x, pairs, sizes, shares)
