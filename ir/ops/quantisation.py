"""Numbers in few bits beside a scale: q = round(x / scale) + zero_point, and back.

The forms are those of ONNX's QuantizeLinear, DequantizeLinear, ConvInteger and MatMulInteger, with
two differences: zero points are attributes, and what a Conv reads outside of its input is its zero
point, which stands for 0.
"""

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, position, take, text
from emu.ir.ops.broadcast import along
from emu.ir.ops.conv import conv, conv_type
from emu.ir.ops.matrix import product
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, must_be_float, must_have_shape
from emu.ir.ops.work_rules import conv as conv_work
from emu.ir.ops.work_rules import matmul as matmul_work
from emu.ir.ops.work_rules import per_element
from emu.ir.types import NAMES, NUMPY, REALS, Array, TensorType, narrowed, summing_dtype

EIGHT_BITS = ("i8", "ui8")
WHOLE = (*EIGHT_BITS, "i16", "ui16")  # what is rounded to whole numbers
QUANTISED = (*EIGHT_BITS, "f8E4M3FN")
MADE = (*WHOLE, "f8E4M3FN")
# What can be read back as a real number: what is made, and the sums of products of them.
STORED = (*MADE, "i32", "f32")
FAR = float(2**24)  # stands for infinity: far outside of sixteen bits, and exact in f32


def quantised(types: Types, attrs: Attrs) -> Result:
    """x and its scale, one number or one for each place along ``axis``, become ``to``."""
    x, scale = take(types, 2)
    must_be_float(x)
    _must_be_scale(scale, x, attrs)
    return (TensorType(text(attrs, "to", "i8", MADE), x.shape),)


@op("QuantizeLinear", Fusion.BROADCAST, quantised, per_element(3))
def quantise_linear(
    x: Array, scale: Array, to: str = "i8", zero_point: int = 0, axis: int = 1
) -> Array:
    """round(x / scale) + zero_point, halves to even, kept within ``to``."""
    real = _wide(x) / _placed(_wide(scale), x.ndim, axis)
    if to not in WHOLE:
        return narrowed(real, to)
    bounds = np.iinfo(NUMPY[to].name)
    whole = np.nan_to_num(np.rint(real), nan=0.0, posinf=FAR, neginf=-FAR)
    return np.clip(whole + zero_point, bounds.min, bounds.max).astype(NUMPY[to])


def dequantised(types: Types, attrs: Attrs) -> Result:
    """q and its scale become the real number ``to``."""
    q, scale = take(types, 2)
    if q.dtype not in STORED:
        raise ModelError(f"takes {' or '.join(STORED)}, not {q}")
    _must_be_scale(scale, q, attrs)
    return (TensorType(text(attrs, "to", "f32", REALS), q.shape),)


@op("DequantizeLinear", Fusion.BROADCAST, dequantised, per_element(2))
def dequantise_linear(
    q: Array, scale: Array, to: str = "f32", zero_point: int = 0, axis: int = 1
) -> Array:
    """(q - zero_point) * scale, rounded to ``to``."""
    wide = _wide(scale)
    real = q.astype(wide.dtype) - wide.dtype.type(zero_point)
    return narrowed(real * _placed(wide, q.ndim, axis), to)


def dequantised_sum(types: Types, attrs: Attrs) -> Result:
    """x, and q of the same shape with its scale."""
    x, q, scale = take(types, 3)
    must_be_float(x)
    if q.dtype not in QUANTISED:
        raise ModelError(f"takes {' or '.join(QUANTISED)}, not {q}")
    must_have_shape(q, x.dims)
    _must_be_scale(scale, q, attrs)
    return (x,)


@op("DequantizeAdd", Fusion.BROADCAST, dequantised_sum, per_element(3))
def dequantise_add(x: Array, q: Array, scale: Array, zero_point: int = 0, axis: int = 1) -> Array:
    """x + (q - zero_point) * scale; emu's own op, so that a residual is read in eight bits."""
    return x + dequantise_linear(q, scale, NAMES[x.dtype], zero_point, axis)


def conv_integer_type(types: Types, attrs: Attrs) -> Result:
    """As Conv without a bias, of eight bits, with sums in i32."""
    x, w = take(types, 2)
    _must_be_eight_bits(x, w)
    return conv_type((x, TensorType(x.dtype, w.shape)), {**attrs, "out_dtype": "i32"})


@op("ConvInteger", Fusion.ANCHOR, conv_integer_type, conv_work)
def conv_integer(
    x: Array,
    w: Array,
    strides: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
    group: int = 1,
    x_zero_point: int = 0,
    w_zero_point: int = 0,
) -> Array:
    """The convolution of x - x_zero_point and w - w_zero_point, exact."""
    real, weight = centred(x, x_zero_point), centred(w, w_zero_point)
    return conv(real, weight, None, strides, pads, dilations, group).astype(np.int32)


def matmul_integer_type(types: Types, attrs: Attrs) -> Result:
    """As MatMul, of eight bits, with sums in i32."""
    a, b = take(types, 2)
    _must_be_eight_bits(a, b)
    return product((a, TensorType(a.dtype, b.shape)), {"out_dtype": "i32"})


@op("MatMulInteger", Fusion.ANCHOR, matmul_integer_type, matmul_work)
def matmul_integer(a: Array, b: Array, x_zero_point: int = 0, w_zero_point: int = 0) -> Array:
    """(a - x_zero_point)[..., M, K] @ (b - w_zero_point)[..., K, N], exact."""
    sums = np.matmul(centred(a, x_zero_point), centred(b, w_zero_point))
    return np.asarray(sums).astype(np.int32)


def centred(q: Array, zero_point: int) -> Array:
    """Return q - zero_point in f64, in which sums of products of eight bits are exact."""
    return q.astype(np.float64) - zero_point


def _wide(x: Array) -> Array:
    """Real numbers in the element type in which they are computed with."""
    return x.astype(NUMPY[summing_dtype(NAMES[x.dtype])], copy=False)


def _placed(scale: Array, rank: int, axis: int) -> Array:
    """One scale for each place broadcasts along ``axis`` of ``rank`` dimensions."""
    return scale if scale.ndim == 0 else along(scale, rank, axis % rank)


def _must_be_scale(scale: TensorType, x: TensorType, attrs: Attrs) -> None:
    must_be_float(scale)
    integer(attrs, "zero_point", 0)
    if scale.shape != ():
        must_have_shape(scale, (x.dims[position(integer(attrs, "axis", 1), len(x.dims))],))


def _must_be_eight_bits(*types: TensorType) -> None:
    for type in types:
        if type.dtype not in EIGHT_BITS:
            raise ModelError(f"takes {' or '.join(EIGHT_BITS)}, not {type}")
