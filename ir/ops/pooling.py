"""Pooling: a window slides over space and folds what it sees."""

from collections.abc import Iterable
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, integers, take
from emu.ir.ops.table import Fusion, Types, op
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
