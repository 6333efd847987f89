"""Elements taken from, and put to, places that other tensors name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, position, take, text
from emu.ir.ops.indexing import check_indices
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, must_be, must_have_shape
from emu.ir.ops.work_rules import movement, per_element
from emu.ir.types import Array, TensorType

# How what is put meets what is there; None puts it in place.
REDUCTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "none": None,
        "add": np.add,
        "mul": np.multiply,
        "max": np.maximum,
        "min": np.minimum,
    }
)


def _must_be_indices(x: TensorType) -> None:
    if x.dtype not in ("i64", "i32"):
        raise ModelError(f"indices must be i64 or i32, not {x}")


def along_axis(types: Types, attrs: Attrs) -> Result:
    """The shape of the indices, which fit the data in every dimension but ``axis``."""
    x, indices = take(types, 2)
    _must_fit(x, indices, attrs)
    return (TensorType(x.dtype, indices.shape),)


def _must_fit(x: TensorType, indices: TensorType, attrs: Attrs) -> None:
    _must_be_indices(indices)
    if len(x.shape) != len(indices.shape):
        raise ModelError(f"indices {indices} do not have the rank of {x}")
    axis = position(integer(attrs, "axis", 0), len(x.shape))
    sizes = zip(x.dims, indices.dims, strict=True)
    if any(i > d for n, (d, i) in enumerate(sizes) if n != axis):
        raise ModelError(f"indices {indices} reach outside of {x}")


@op("GatherElements", Fusion.OPAQUE, along_axis, movement)
def gather_elements(x: Array, indices: Array, axis: int = 0) -> Array:
    """For each index the element of ``x`` there along ``axis``; raises BadValues outside of it."""
    return x[_places(x, indices, axis)]


def _places(x: Array, indices: Array, axis: int) -> tuple[Array, ...]:
    check_indices(indices, x.shape[axis])
    grid: list[Array] = [*np.indices(indices.shape, sparse=True)]
    return (*grid[:axis], indices, *grid[axis % x.ndim + 1 :])


def reversed_parts(types: Types, attrs: Attrs) -> Result:
    """The type of the data; one length for each place along ``batch_axis``."""
    x, lengths = take(types, 2)
    _must_be_indices(lengths)
    batch, time = (
        position(integer(attrs, f"{n}_axis", 0), len(x.shape)) for n in ("batch", "time")
    )
    if batch == time:
        raise ModelError(f"batch_axis and time_axis are both {batch}")
    must_have_shape(lengths, (x.dims[batch],))
    return (x,)


@op("ReverseSequence", Fusion.OPAQUE, reversed_parts, movement)
def reverse_sequence(x: Array, lengths: Array, batch_axis: int, time_axis: int) -> Array:
    """The first ``lengths[b]`` elements along ``time_axis`` in the other order, the rest as is.

    Raises BadValues for a length beyond the end.
    """
    check_indices(lengths, x.shape[time_axis] + 1)
    apart = np.moveaxis(x, (batch_axis, time_axis), (0, 1))
    steps = np.arange(x.shape[time_axis], dtype=np.int64)
    ends = lengths[:, None]
    places = np.where(steps < ends, ends - 1 - steps, steps)
    turned = apart[np.arange(apart.shape[0])[:, None], places]
    return np.moveaxis(turned, (0, 1), (batch_axis, time_axis))


def scattered(types: Types, attrs: Attrs) -> Result:
    """The type of the data; indices and updates have one shape."""
    x, indices, updates = take(types, 3)
    _must_fit(x, indices, attrs)
    must_be(updates, x.dtype)
    must_have_shape(updates, indices.dims)
    text(attrs, "reduction", "none", tuple(REDUCTIONS))
    return (x,)


@op("ScatterElements", Fusion.OPAQUE, scattered, per_element(1))
def scatter_elements(
    x: Array, indices: Array, updates: Array, axis: int = 0, reduction: str = "none"
) -> Array:
    """A copy of ``x`` with each update at its index along ``axis``."""
    return _put(x, _places(x, indices, axis), updates, reduction)


def _put(x: Array, places: tuple[Array, ...], updates: Array, reduction: str) -> Array:
    result = x.copy()
    if reduction == "none":
        result[places] = updates
    else:
        REDUCTIONS[reduction].at(result, places, updates)
    return result


def _depth(x: TensorType, indices: TensorType, batch: int) -> int:
    """How many dimensions of the data each row of indices names."""
    _must_be_indices(indices)
    if not indices.dims or indices.dims[:batch] != x.dims[:batch]:
        raise ModelError(f"indices {indices} do not fit {x} with {batch} batch dimensions")
    depth = indices.dims[-1]
    if not 1 <= depth <= len(x.shape) - batch or batch >= len(indices.shape):
        raise ModelError(f"indices {indices} name {depth} dimensions of {x}")
    return depth


def gathered_slices(types: Types, attrs: Attrs) -> Result:
    """The indices without their last dimension, then what is left of the data."""
    x, indices = take(types, 2)
    batch = integer(attrs, "batch_dims", 0)
    rest = x.dims[batch + _depth(x, indices, batch) :]
    return (TensorType(x.dtype, (*indices.dims[:-1], *rest)),)


@op("GatherND", Fusion.OPAQUE, gathered_slices, movement)
def gather_slices(x: Array, indices: Array, batch_dims: int = 0) -> Array:
    """For each row of indices the slice of ``x`` there; leading ``batch_dims`` go together."""
    return x[_rows(x, indices, batch_dims)]


def _rows(x: Array, indices: Array, batch: int) -> tuple[Array, ...]:
    for i in range(indices.shape[-1]):
        check_indices(indices[..., i], x.shape[batch + i])
    outer = np.indices(indices.shape[:-1], sparse=True)[:batch]
    return (*outer, *np.moveaxis(indices, -1, 0))


def scattered_slices(types: Types, attrs: Attrs) -> Result:
    """The type of the data; updates are a slice for each row of indices."""
    x, indices, updates = take(types, 3)
    rest = x.dims[_depth(x, indices, 0) :]
    must_be(updates, x.dtype)
    must_have_shape(updates, (*indices.dims[:-1], *rest))
    text(attrs, "reduction", "none", tuple(REDUCTIONS))
    return (x,)


@op("ScatterND", Fusion.OPAQUE, scattered_slices, per_element(1))
def scatter_slices(x: Array, indices: Array, updates: Array, reduction: str = "none") -> Array:
    """A copy of ``x`` with each slice of the updates at its row of indices."""
    return _put(x, _rows(x, indices, 0), updates, reduction)
