"""What depends on the order of elements along an axis: largest, first, running sums."""

from collections.abc import Sequence
from math import ceil, log2

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, position, take
from emu.ir.ops.table import Fusion, Types, Work, op
from emu.ir.ops.type_rules import Result
from emu.ir.ops.work_rules import per_input_element
from emu.ir.types import Array, TensorType


def places(types: Types, attrs: Attrs) -> Result:
    """The shape with ``axis`` as 1, or without it where keepdims is 0; elements are i64."""
    (x,) = take(types, 1)
    axis = position(integer(attrs, "axis", 0), len(x.shape))
    kept = (1,) if integer(attrs, "keepdims", 1) else ()
    if x.dims[axis] == 0:
        raise ModelError(f"{x} has nothing along axis {axis} to choose from")
    return (TensorType("i64", (*x.dims[:axis], *kept, *x.dims[axis + 1 :])),)


@op("ArgMax", Fusion.OPAQUE, places, per_input_element(1))
def arg_max(x: Array, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    """Where the largest element along ``axis`` is: the first of equal ones, or the last."""
    if not select_last_index:
        return np.argmax(x, axis, keepdims=bool(keepdims))
    return x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis, keepdims=bool(keepdims))


@op("ArgMin", Fusion.OPAQUE, places, per_input_element(1))
def arg_min(x: Array, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    """Where the smallest element along ``axis`` is: the first of equal ones, or the last."""
    if not select_last_index:
        return np.argmin(x, axis, keepdims=bool(keepdims))
    return x.shape[axis] - 1 - np.argmin(np.flip(x, axis), axis, keepdims=bool(keepdims))


def summed(types: Types, attrs: Attrs) -> Result:
    """The type of the input; ``axis`` lies inside of it."""
    (x,) = take(types, 1)
    position(integer(attrs, "axis", 0), len(x.shape))
    return (x,)


@op("CumSum", Fusion.OPAQUE, summed, per_input_element(1))
def cumulative_sum(x: Array, axis: int = 0, exclusive: int = 0, reverse: int = 0) -> Array:
    """Running sums along ``axis``, from its end if ``reverse``, without itself if ``exclusive``."""
    turned = np.flip(x, axis) if reverse else x
    sums = np.cumsum(turned, axis, dtype=x.dtype)
    if exclusive:
        sums = sums - turned
    return np.ascontiguousarray(np.flip(sums, axis)) if reverse else sums


@op("CumProd", Fusion.OPAQUE, summed, per_input_element(1))
def cumulative_product(x: Array, axis: int = 0, exclusive: int = 0, reverse: int = 0) -> Array:
    """Running products along ``axis``; the attributes are those of CumSum."""
    turned = np.flip(x, axis) if reverse else x
    if exclusive:
        one = np.ones_like(np.take(turned, [0], axis))
        turned = np.concatenate([one, np.delete(turned, -1, axis)], axis)
    products = np.cumprod(turned, axis, dtype=x.dtype)
    return np.ascontiguousarray(np.flip(products, axis)) if reverse else products


def best(types: Types, attrs: Attrs) -> Result:
    """Where ``k`` elements along ``axis`` are, as i64."""
    (x,) = take(types, 1)
    axis, k = position(integer(attrs, "axis", -1), len(x.shape)), integer(attrs, "k", 1)
    if not 0 <= k <= x.dims[axis]:
        raise ModelError(f"k={k} is outside of the {x.dims[axis]} elements along axis {axis}")
    shape = (*x.dims[:axis], k, *x.dims[axis + 1 :])
    return (TensorType("i64", shape),)


def sorting(types: Types, outs: Sequence[TensorType], attrs: Attrs) -> Work:
    """log2(n) comparisons for each of n elements along the axis, as sorting takes."""
    (x,) = take(types, 1)
    length = x.dims[position(integer(attrs, "axis", -1), len(x.shape))]
    return Work(x.elements * max(1, ceil(log2(max(length, 1)))))


@op("TopPlaces", Fusion.OPAQUE, best, sorting)
def top_places(x: Array, k: int, axis: int = -1, largest: int = 1) -> Array:
    """The places of the ``k`` largest (or smallest) elements in order; ties by lower place.

    emu's own op: TopK is this and a GatherElements.
    """
    ranks = np.argsort(_descending(x) if largest else x, axis, kind="stable")
    return np.take(ranks, np.arange(k), axis)


def _descending(x: Array) -> Array:
    """Numbers whose ascending order is the descending one of ``x``."""
    if x.dtype.kind in "iu":
        return np.invert(x)  # -x of the smallest integer is itself, of unsigned ones it wraps
    return np.logical_not(x) if x.dtype.kind == "b" else -x
