"""Movement that never fuses: gather, concat, split, pad."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Literal

import numpy as np

from emu.ir.errors import BadValues, ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, integers, position, take, text
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, must_be
from emu.ir.ops.work_rules import movement
from emu.ir.types import Array, TensorType

# The names are ONNX's and numpy's alike.
PAD_MODES: Mapping[str, Literal["constant", "reflect", "edge", "wrap"]] = {
    "constant": "constant",
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
}


def gathered(types: Types, attrs: Attrs) -> Result:
    """Dimension ``axis`` of the data gives way to the dimensions of the indices."""
    x, indices = take(types, 2)
    if indices.dtype not in ("i64", "i32"):
        raise ModelError(f"indices must be i64 or i32, not {indices}")
    axis = position(integer(attrs, "axis", 0), len(x.shape))
    return (TensorType(x.dtype, (*x.dims[:axis], *indices.dims, *x.dims[axis + 1 :])),)


@op("Gather", Fusion.OPAQUE, gathered, movement)
def gather(x: Array, indices: Array, axis: int = 0) -> Array:
    """x at ``indices`` along ``axis``; negative ones count from the end, others raise BadValues."""
    check_indices(indices, x.shape[axis])
    return np.take(x, indices, axis)


def check_indices(indices: Array, rows: int) -> None:
    """Raise BadValues if an index is outside of ``rows`` entries; negative ones count back."""
    if indices.size and not -rows <= indices.min() <= indices.max() < rows:
        raise BadValues(f"index {indices.min()} to {indices.max()} is outside of {rows} entries")


def concatenated(types: Types, attrs: Attrs) -> Result:
    """Sizes add up along ``axis``; all else is equal."""
    first, *rest = take(types, max(len(types), 1))
    axis = position(integer(attrs, "axis", 0), len(first.shape))
    for other in rest:
        must_be(other, first.dtype)
        if _without(other.dims, axis) != _without(first.dims, axis):
            raise ModelError(f"{other} does not concatenate with {first} along axis {axis}")
    total = sum(t.dims[axis] for t in (first, *rest))
    return (TensorType(first.dtype, (*first.dims[:axis], total, *first.dims[axis + 1 :])),)


@op("Concat", Fusion.OPAQUE, concatenated, movement)
def concat(*arrays: Array, axis: int) -> Array:
    """All inputs, one after the other along ``axis``."""
    return np.concatenate(arrays, axis)


def parted(types: Types, attrs: Attrs) -> Result:
    """One output for each of ``sizes``, which add up to dimension ``axis``."""
    (x,) = take(types, 1)
    axis = position(integer(attrs, "axis", 0), len(x.shape))
    sizes = integers(attrs, "sizes")
    if sum(sizes) != x.dims[axis]:
        raise ModelError(f"sizes {sizes} do not add up to dimension {axis} of {x}")
    parts = ((*x.dims[:axis], size, *x.dims[axis + 1 :]) for size in sizes)
    return tuple(TensorType(x.dtype, part) for part in parts)


@op("Split", Fusion.OPAQUE, parted, movement)
def split(x: Array, sizes: tuple[int, ...], axis: int = 0) -> tuple[Array, ...]:
    """x cut along ``axis`` into parts of ``sizes``."""
    return tuple(np.split(x, list(accumulate(sizes))[:-1], axis))


def padded(types: Types, attrs: Attrs) -> Result:
    """``pads`` holds what each dimension gains before, then what it gains behind."""
    (x,) = take(types, 1)
    pads, rank = integers(attrs, "pads"), len(x.shape)
    text(attrs, "mode", "constant", tuple(PAD_MODES))
    if len(pads) != 2 * rank:
        raise ModelError(f"pads {pads} must have two numbers for each dimension of {x}")
    gains = zip(pads[:rank], pads[rank:], strict=True)
    shape = tuple(d + sum(gain) for d, gain in zip(x.dims, gains, strict=True))
    if min(shape, default=0) < 0:
        raise ModelError(f"pads {pads} leave nothing of {x}")
    return (TensorType(x.dtype, shape),)


@op("Pad", Fusion.OPAQUE, padded, movement)
def pad(x: Array, pads: tuple[int, ...], mode: str = "constant", value: float = 0.0) -> Array:
    """x with a margin; a negative pad crops."""
    widths = tuple(zip(pads[: x.ndim], pads[x.ndim :], strict=True))
    cuts = tuple(
        slice(max(-a, 0), d - max(-b, 0)) for (a, b), d in zip(widths, x.shape, strict=True)
    )
    grown = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode == "constant":
        return np.pad(x[cuts], grown, constant_values=x.dtype.type(value))
    return np.pad(x[cuts], grown, mode=PAD_MODES[mode])


def _without(dims: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*dims[:axis], *dims[axis + 1 :])
