"""Resize: nearest and linear sampling, one dimension at a time."""

from functools import partial

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import numbers, take, text
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, must_be_float
from emu.ir.ops.work_rules import resize as resize_work
from emu.ir.types import Array, TensorType

MODES = ("nearest", "linear")
COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def resized(types: Types, attrs: Attrs) -> Result:
    """Each dimension times its scale, rounded down."""
    (x,) = take(types, 1)
    scales = numbers(attrs, "scales")
    if text(attrs, "mode", "nearest", MODES) == "linear":
        must_be_float(x)
    text(attrs, "coordinate_transformation_mode", "half_pixel", COORDINATES)
    text(attrs, "nearest_mode", "round_prefer_floor", ROUNDINGS)
    if len(scales) != len(x.dims) or min(scales, default=1) <= 0:
        raise ModelError(f"scales {scales} do not fit {x}")
    return (TensorType(x.dtype, _sizes(x.dims, scales)),)


@op("Resize", Fusion.OPAQUE, resized, resize_work)
def resize(
    x: Array,
    scales: tuple[float, ...],
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
) -> Array:
    """x sampled on a finer or coarser grid."""
    sample = _linear if mode == "linear" else partial(_nearest, rounding=nearest_mode)
    result = x
    for axis, (scale, size) in enumerate(zip(scales, _sizes(x.shape, scales), strict=True)):
        if scale != 1:
            places = _places(x.shape[axis], size, scale, coordinate_transformation_mode)
            result = sample(result, axis, places)
    return result


def _sizes(dims: tuple[int, ...], scales: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(int(np.floor(d * s)) for d, s in zip(dims, scales, strict=True))


def _places(size: int, out: int, scale: float, mode: str) -> Array:
    """Return for each output index the place in the input, as a real number."""
    index = np.arange(out, dtype=np.float64)
    if mode == "asymmetric":
        return index / scale
    if mode == "align_corners":
        return index * ((size - 1) / max(out - 1, 1))
    if mode == "pytorch_half_pixel" and out == 1:
        return np.zeros_like(index)
    return (index + 0.5) / scale - 0.5


def _nearest(x: Array, axis: int, places: Array, rounding: str) -> Array:
    rounded = {
        "round_prefer_floor": np.ceil(places - 0.5),
        "round_prefer_ceil": np.floor(places + 0.5),
        "floor": np.floor(places),
        "ceil": np.ceil(places),
    }[rounding]
    return np.take(x, np.clip(rounded, 0, x.shape[axis] - 1).astype(np.int64), axis)


def _linear(x: Array, axis: int, places: Array) -> Array:
    low, share = _between(places, x.shape[axis])
    shape = [1] * x.ndim
    shape[axis] = -1
    share = share.astype(x.dtype).reshape(shape)
    below = np.take(x, low, axis)
    above = np.take(x, np.minimum(low + 1, x.shape[axis] - 1), axis)
    return below * (1 - share) + above * share


def _between(places: Array, size: int) -> tuple[Array, Array]:
    """The entry at or below each place, and how far it is from there to the next."""
    inside = np.clip(places, 0, size - 1)
    low = np.floor(inside).astype(np.int64)
    return low, inside - low


def linear_places(dims: tuple[int, ...], attrs: Attrs) -> dict[int, tuple[Array, Array]]:
    """For each dimension that a linear Resize scales: entries, and shares of those that follow."""
    scales = numbers(attrs, "scales")
    mode = text(attrs, "coordinate_transformation_mode", "half_pixel", COORDINATES)
    sizes = zip(dims, _sizes(dims, scales), scales, strict=True)
    return {
        axis: _between(_places(size, out, scale, mode), size)
        for axis, (size, out, scale) in enumerate(sizes)
        if scale != 1
    }
