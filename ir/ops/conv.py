"""Convolutions over any number of spatial dimensions."""

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, integers, optional, take
from emu.ir.ops.broadcast import along
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, must_be, must_have_shape, summed_dtype
from emu.ir.ops.window import Window, window
from emu.ir.ops.work_rules import conv as conv_work
from emu.ir.ops.work_rules import conv_transpose as conv_transpose_work
from emu.ir.types import Array, TensorType

Ints = tuple[int, ...]


def conv_type(types: Types, attrs: Attrs) -> Result:
    """x[N,C,...], w[M,C/group,...], b[M] give [N,M,...]."""
    x, w = take(types, 2, 3)
    group = integer(attrs, "group", 1)
    _must_fit(x, w, x.dims[1:2] == (w.dims[1] * group,) and w.dims[0] % group == 0)
    _must_be_bias(optional(types, 2), x, w.dims[0])
    dims = (x.dims[0], w.dims[0], *_slid(w, attrs).out(x.dims[2:]))
    return (TensorType(summed_dtype(x, attrs), dims),)


@op("Conv", Fusion.ANCHOR, conv_type, conv_work)
def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    strides: Ints = (),
    pads: Ints = (),
    dilations: Ints = (),
    group: int = 1,
) -> Array:
    """x[N,C,...] and w[M,C/group,...]: the taps are laid out as a matrix, then multiplied."""
    slid = window(w.shape[2:], strides, pads, dilations)
    out = slid.out(x.shape[2:])
    columns = np.stack(list(slid.taps(slid.grown(x, 0), out)), axis=2)
    columns = columns.reshape(x.shape[0], group, -1, int(np.prod(out)))
    rows = w.reshape(group, w.shape[0] // group, -1)
    result = np.matmul(rows, columns).reshape(x.shape[0], w.shape[0], *out)
    return _with_bias(result, b).astype(x.dtype, copy=False)


def conv_transpose_type(types: Types, attrs: Attrs) -> Result:
    """x[N,C,...], w[C,M/group,...], b[M] give [N,M,...]."""
    x, w = take(types, 2, 3)
    group = integer(attrs, "group", 1)
    _must_fit(x, w, x.dims[1] == w.dims[0] and x.dims[1] % group == 0)
    _must_be_bias(optional(types, 2), x, w.dims[1] * group)
    space = _spread(_slid(w, attrs), x.dims[2:], integers(attrs, "output_padding"))
    if min(space) < 1:
        raise ModelError(f"pads leave nothing of the output of {x}")
    return (TensorType(summed_dtype(x, attrs), (x.dims[0], w.dims[1] * group, *space)),)


@op("ConvTranspose", Fusion.ANCHOR, conv_transpose_type, conv_transpose_work)
def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    strides: Ints = (),
    pads: Ints = (),
    dilations: Ints = (),
    group: int = 1,
    output_padding: Ints = (),
) -> Array:
    """x[N,C,...] and w[C,M/group,...]: each input element adds its multiple of the kernel."""
    slid = window(w.shape[2:], strides, pads, dilations)
    space = _spread(slid, x.shape[2:], output_padding)
    rows = w.reshape(group, w.shape[0] // group, -1).transpose(0, 2, 1)
    columns = x.reshape(x.shape[0], group, x.shape[1] // group, -1)
    parts = np.matmul(rows, columns)
    parts = parts.reshape(x.shape[0], group * w.shape[1], -1, *x.shape[2:])
    result = _with_bias(_added(parts, slid, space), b)
    return result.astype(x.dtype, copy=False)


def _added(parts: Array, slid: Window, space: Ints) -> Array:
    """Add parts[N,M,tap,...] to their places, then take off the padding."""
    room = tuple(
        before + size + behind
        for before, size, behind in zip(slid.before, space, slid.behind, strict=True)
    )
    whole = np.zeros((*parts.shape[:2], *room), parts.dtype)
    for tap, place in enumerate(slid.taps(whole, parts.shape[3:])):
        place += parts[:, :, tap]
    cuts = (slice(a, a + n) for a, n in zip(slid.before, space, strict=True))
    return whole[(slice(None), slice(None), *cuts)]


def _slid(w: TensorType, attrs: Attrs) -> Window:
    strides, pads = integers(attrs, "strides"), integers(attrs, "pads")
    return window(w.dims[2:], strides, pads, integers(attrs, "dilations"))


def _spread(slid: Window, space: Ints, extra: Ints) -> Ints:
    """stride*(in-1) + output_padding + span - pads, as ONNX defines it."""
    extra = extra or (0,) * len(space)
    if len(extra) != len(space):
        raise ModelError(f"output_padding {extra} does not fit {len(space)} dimensions")
    return tuple(
        slid.strides[i] * (size - 1) + extra[i] + slid.spans[i] - slid.before[i] - slid.behind[i]
        for i, size in enumerate(space)
    )


def _with_bias(x: Array, b: Array | None) -> Array:
    return x if b is None else x + along(b, x.ndim, 1)


def _must_fit(x: TensorType, w: TensorType, channels_fit: bool) -> None:
    must_be(w, x.dtype)
    if len(x.dims) != len(w.dims) or len(x.dims) < 3 or not channels_fit:
        raise ModelError(f"weights {w} do not fit {x}")


def _must_be_bias(bias: TensorType | None, x: TensorType, channels: int) -> None:
    if bias is not None:
        must_be(bias, x.dtype)
        must_have_shape(bias, (channels,))
