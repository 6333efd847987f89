"""Whole dimensions folded into one number each."""

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.ops.attributes import take
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, must_be_float, reduced
from emu.ir.ops.work_rules import per_input_element
from emu.ir.types import Array, TensorType

Axes = tuple[int, ...] | None


@op("ReduceSum", Fusion.REDUCTION, reduced, per_input_element(1))
def reduce_sum(x: Array, axes: Axes = None, keepdims: int = 1) -> Array:
    """The sum over ``axes``."""
    return np.sum(x, axes or None, dtype=x.dtype, keepdims=bool(keepdims))


@op("ReduceMean", Fusion.REDUCTION, reduced, per_input_element(1))
def reduce_mean(x: Array, axes: Axes = None, keepdims: int = 1) -> Array:
    """The mean over ``axes``."""
    return np.asarray(np.mean(x, axes or None, keepdims=bool(keepdims))).astype(x.dtype)


@op("ReduceMax", Fusion.REDUCTION, reduced, per_input_element(1))
def reduce_max(x: Array, axes: Axes = None, keepdims: int = 1) -> Array:
    """The largest element over ``axes``."""
    return np.max(x, axes or None, keepdims=bool(keepdims))


@op("ReduceMin", Fusion.REDUCTION, reduced, per_input_element(1))
def reduce_min(x: Array, axes: Axes = None, keepdims: int = 1) -> Array:
    """The smallest element over ``axes``."""
    return np.min(x, axes or None, keepdims=bool(keepdims))


@op("ReduceProd", Fusion.REDUCTION, reduced, per_input_element(1))
def reduce_product(x: Array, axes: Axes = None, keepdims: int = 1) -> Array:
    """The product over ``axes``."""
    return np.prod(x, axes or None, dtype=x.dtype, keepdims=bool(keepdims))


def over_space(types: Types, attrs: Attrs) -> Result:
    """[N,C,...] becomes [N,C,1,...]."""
    (x,) = take(types, 1)
    must_be_float(x)
    return (TensorType(x.dtype, (*x.dims[:2], *(1 for _ in x.dims[2:]))),)


@op("GlobalAveragePool", Fusion.REDUCTION, over_space, per_input_element(1))
def global_average_pool(x: Array) -> Array:
    """The mean over all of space, x[N,C,...]."""
    return np.mean(x, tuple(range(2, x.ndim)), keepdims=True)
