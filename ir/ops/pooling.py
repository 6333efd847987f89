"""Pooling: a window slides over space and folds what it sees."""

from collections.abc import Iterable, Sequence
from functools import reduce
from math import prod
from typing import Any, TypeAlias

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, integers, take
from emu.ir.ops.table import Fusion, Types, Work, op
from emu.ir.ops.type_rules import Result, must_be_float
from emu.ir.ops.window import Window, window
from emu.ir.ops.work_rules import pool
from emu.ir.types import Array, TensorType

Ints = tuple[int, ...]
Dtype: TypeAlias = np.dtype[Any]


def pooled(types: Types, attrs: Attrs) -> Result:
    """[N,C,...] with one element for each place of the window."""
    must_be_float(take(types, 1)[0])
    return max_pooled(types, attrs)


def max_pooled(types: Types, attrs: Attrs) -> Result:
    """The same for numbers of any kind, since the largest of them needs no arithmetic."""
    (x,) = take(types, 1)
    kernel = integers(attrs, "kernel_shape")
    if len(kernel) != len(x.dims) - 2:
        raise ModelError(f"a kernel of shape {kernel} does not slide over {x}")
    strides, pads = integers(attrs, "strides"), integers(attrs, "pads")
    dilations, ceil_mode = integers(attrs, "dilations"), integer(attrs, "ceil_mode", 0)
    slid = window(kernel, strides, pads, dilations, ceil_mode)
    return (TensorType(x.dtype, (*x.dims[:2], *slid.out(x.dims[2:]))),)


def lp_pool_work(types: Types, outs: Sequence[TensorType], attrs: Attrs) -> Work:
    """A power and a sum for each element of each window, then a root."""
    taps = prod(integers(attrs, "kernel_shape"))
    return Work(2 * taps, taps + 1) * outs[0].elements


@op("MaxPool", Fusion.REDUCTION, max_pooled, pool)
def max_pool(
    x: Array,
    kernel_shape: Ints,
    strides: Ints = (),
    pads: Ints = (),
    dilations: Ints = (),
    ceil_mode: int = 0,
) -> Array:
    """The largest element of each window of x[N,C,...]; padding never wins."""
    slid = window(kernel_shape, strides, pads, dilations, ceil_mode)
    return reduce(np.maximum, slid.taps(slid.grown(x, lowest(x.dtype)), slid.out(x.shape[2:])))


def pool_places(types: Types, attrs: Attrs) -> Result:
    """As max_pooled, in i64; ``storage_order`` 1 counts the columns of an image first."""
    (pooled_type,) = max_pooled(types, attrs)
    if integer(attrs, "storage_order", 0) not in (0, 1):
        raise ModelError(f"storage_order is 0 or 1, not {attrs['storage_order']}")
    return (TensorType("i64", pooled_type.shape),)


@op("MaxPoolPlaces", Fusion.OPAQUE, pool_places, pool)
def max_pool_places(
    x: Array,
    kernel_shape: Ints,
    strides: Ints = (),
    pads: Ints = (),
    dilations: Ints = (),
    ceil_mode: int = 0,
    storage_order: int = 0,
) -> Array:
    """Where in the whole tensor the largest element of each window is.

    emu's own op, the second output of MaxPool. The first of equal elements is taken, in the order
    of the window.
    """
    slid = window(kernel_shape, strides, pads, dilations, ceil_mode)
    space, out = x.shape[2:], slid.out(x.shape[2:])
    order = "F" if storage_order else "C"
    inside = np.arange(prod(space)).reshape(space, order=order)
    places = np.arange(prod(x.shape[:2])).reshape(*x.shape[:2], *(1 for _ in space)) * prod(space)
    values = np.stack([*slid.taps(slid.grown(x, lowest(x.dtype)), out)])
    where = np.stack([*slid.taps(slid.grown(places + inside, -1), out)])
    first = np.argmax(np.where(where < 0, values.dtype.type(lowest(x.dtype)), values), 0)
    return np.take_along_axis(where, first[None], 0)[0]


def lowest(dtype: Dtype) -> float:
    """Return a number that is below no other of an element type."""
    return float(np.iinfo(dtype.name).min) if dtype.kind in "iu" else -np.inf


@op("AveragePool", Fusion.REDUCTION, pooled, pool)
def average_pool(
    x: Array,
    kernel_shape: Ints,
    strides: Ints = (),
    pads: Ints = (),
    dilations: Ints = (),
    ceil_mode: int = 0,
    count_include_pad: int = 0,
) -> Array:
    """The mean of each window of x[N,C,...]; ``count_include_pad`` says if padding counts."""
    slid = window(kernel_shape, strides, pads, dilations, ceil_mode)
    out = slid.out(x.shape[2:])
    total = _sum(slid.taps(slid.grown(x, 0), out))
    counted = _counted(slid, x.shape[2:], bool(count_include_pad)).astype(x.dtype)
    return total / _sum(slid.taps(counted, out))


@op("LpPool", Fusion.REDUCTION, pooled, lp_pool_work)
def lp_pool(
    x: Array,
    kernel_shape: Ints,
    p: int = 2,
    strides: Ints = (),
    pads: Ints = (),
    dilations: Ints = (),
    ceil_mode: int = 0,
) -> Array:
    """(sum of |x|^p)^(1/p) of each window of x[N,C,...]; padding adds nothing."""
    slid = window(kernel_shape, strides, pads, dilations, ceil_mode)
    powers = np.abs(x) ** x.dtype.type(p)
    total = _sum(slid.taps(slid.grown(powers, 0), slid.out(x.shape[2:])))
    return total ** x.dtype.type(1 / p)


def among_channels(types: Types, attrs: Attrs) -> Result:
    """[N,C,...]; ``pads`` channels are added, and a window of ``size`` slides over them."""
    (x,) = take(types, 1)
    must_be_float(x)
    size, pads = integer(attrs, "size", 1), integers(attrs, "pads")
    if len(x.shape) < 2 or size < 1 or len(pads) != 2:
        raise ModelError(f"no window of {size} with pads {pads} slides over the channels of {x}")
    channels = x.dims[1] + sum(pads) - size + 1
    return (TensorType(x.dtype, (x.dims[0], channels, *x.dims[2:])),)


def among_channels_work(types: Types, outs: Sequence[TensorType], attrs: Attrs) -> Work:
    """A square and a sum for each channel of a window, a power, and what scales it."""
    return Work(2 * integer(attrs, "size", 1) + 3, 1, 1) * outs[0].elements


@op("LRN", Fusion.REDUCTION, among_channels, among_channels_work)
def local_response_normalization(
    x: Array, size: int, pads: Ints, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Array:
    """x / (bias + alpha / size * sum of the squares of ``size`` channels)^beta, x[N,C,...].

    Krizhevsky et al. 2012, as ONNX scales it. The window of a channel begins floor((size-1)/2)
    channels before it; ``pads`` are channels of 0 before and behind those of x.
    """
    grown = np.pad(x, [(0, 0), pads, *((0, 0) for _ in x.shape[2:])])
    channels = grown.shape[1] - size + 1
    total = _sum(grown[:, i : i + channels] ** 2 for i in range(size))
    middle = (size - 1) // 2
    scale = x.dtype.type(bias) + x.dtype.type(alpha / size) * total
    return grown[:, middle : middle + channels] / scale ** x.dtype.type(beta)


def _counted(slid: Window, space: Ints, padding: bool) -> Array:
    """Return 1 where an element counts, 0 elsewhere: [1,1,*grown space]."""
    ones = np.ones((1, 1, *space))
    grown = slid.grown(ones, 0)
    if padding:
        ends = tuple(a + n + b for a, n, b in zip(slid.before, space, slid.behind, strict=True))
        grown[(slice(None), slice(None), *(slice(0, end) for end in ends))] = 1
    return grown


def _sum(arrays: Iterable[Array]) -> Array:
    return reduce(np.add, arrays)
