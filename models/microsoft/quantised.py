"""Ops between quantised values, as onnxruntime's quantiser writes them; its ContribOperators.md.

A value q stands for the real number (q - zero point) * scale; products are sums of integers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from emu.models.microsoft.body import Body, Declaration

POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")


def _real(write: Body, first: int, **attrs: Any) -> str:
    """Inputs ``first`` on, a value with its scale and zero point, as real numbers."""
    return write("DequantizeLinear", *(write.input(first + i) for i in range(3)), **attrs)


def _whole(write: Body, real: str, scale: int) -> str:
    """Real numbers by the scale that is input ``scale`` and the zero point behind it."""
    return write("QuantizeLinear", real, write.input(scale), write.input(scale + 1))


def pair(op: str) -> Declaration:
    """Return what an op of two quantised operands is: real numbers in between."""

    def declared(write: Body) -> str:
        return _whole(write, write(op, _real(write, 0), _real(write, 3)), 6)

    return declared


def single(op: str, *attrs: str) -> Declaration:
    """Return what an op of one quantised operand is, with the attributes that it has."""

    def declared(write: Body) -> str:
        site = write.site
        given = {name: site.attrs[name] for name in attrs if name in site.attrs}
        return _whole(write, write(op, _real(write, 0), **given), 3)

    return declared


def pool(op: str, *attrs: str) -> Declaration:
    """Return what a pool is; raises UnsupportedOp where the channels stand last."""
    plain = single(op, *attrs)

    def declared(write: Body) -> str | tuple[str, ...]:
        if write.site.integer("channels_last", 0):
            raise write.site.refuse("channels_last is not supported")
        return plain(write)

    return declared


def concat(write: Body) -> str:
    """The scale and zero point of the result stand first, then each part with its own."""
    site = write.site
    axis = site.integer("axis", 0)
    parts = [_real(write, i) for i in range(2, len(write.inputs), 3)]
    return _whole(write, write("Concat", *parts, axis=axis), 0)


def softmax(write: Body) -> str:
    """Along ``axis``; from all dimensions behind it before ``opset`` 13, as ONNX has it."""
    site = write.site
    axis, opset = site.integer("axis", -1), site.integer("opset", 13)
    x = _real(write, 0)
    if opset >= 13:
        return _whole(write, write("Softmax", x, axis=axis), 3)
    flat = write("Flatten", x, axis=site.axis(axis))
    y = write.reshape(write("Softmax", flat, axis=1), *site.type().dims)
    return _whole(write, y, 3)


def where(write: Body) -> str:
    """A condition, and two quantised values to choose from."""
    return _whole(write, write("Where", write.need(0), _real(write, 1), _real(write, 4)), 7)


def gemm(write: Body) -> str:
    """alpha A B plus a bias in the sums' own unit; real numbers without a scale of the result."""
    site = write.site
    a, b = write.need(0), write.need(3)
    if site.integer("transA", 0):
        a = write("Transpose", a, perm=(1, 0))
    if site.integer("transB", 0):
        b = write("Transpose", b, perm=(1, 0))
    sums = write("MatMulInteger", a, b, write.input(2), write.input(5))
    scale = write("Mul", write.need(1), write.need(4))
    alpha = site.number("alpha", 1.0)
    if alpha != 1.0:
        scale = write("Mul", scale, write.number(alpha, like=1))
    real = write("DequantizeLinear", write.plus(sums, 6), _one(write, scale, 4), axis=1)
    return _whole(write, real, 7) if site.has(7) else real


def _one(write: Body, scale: str, index: int) -> str:
    """A scale that is one number in a list, as input ``index`` is, as a number."""
    return write.reshape(scale) if write.site.type(index).shape == (1,) else scale


def matmul_integer_to_float(write: Body) -> str:
    """A and B, their scales and zero points, and a bias; real numbers."""
    i = write.input
    scale = write("Mul", i(2), i(3))
    return _product(write, write.need(0), (i(4), i(5)), scale, bias=6)


def dynamic_quantize_matmul(write: Body) -> str:
    """A is quantised by its own smallest and largest value; B has a scale and zero point."""
    a, scale, zero = write.several(3, "DynamicQuantizeLinear", write.need(0))
    both = write("Mul", scale, write.need(2))
    return _product(write, a, (zero, write.input(3)), both, bias=4)


def _product(write: Body, a: str, zeros: tuple[str, str], scale: str, bias: int) -> str:
    sums = write("MatMulInteger", a, write.need(1), *zeros)
    real = write("Mul", write("Cast", sums, to=1), scale)
    return write.plus(real, bias)


def quantize_linear(write: Body) -> str:
    """ONNX's own, which has 16 bits from opset 21 on."""
    axis = write.site.integer("axis", 1)
    return write("QuantizeLinear", *write.inputs, axis=axis)


def dequantize_linear(write: Body) -> str:
    """ONNX's own, which has 16 bits from opset 21 on."""
    axis = write.site.integer("axis", 1)
    return write("DequantizeLinear", *write.inputs, axis=axis)


FUNCTIONS: Mapping[str, Declaration] = MappingProxyType(
    {
        "QuantizeLinear": quantize_linear,
        "DequantizeLinear": dequantize_linear,
        "QLinearAdd": pair("Add"),
        "QLinearMul": pair("Mul"),
        "QLinearConcat": concat,
        "QLinearWhere": where,
        "QLinearSoftmax": softmax,
        "QLinearSigmoid": single("Sigmoid"),
        "QLinearLeakyRelu": single("LeakyRelu", "alpha"),
        "QLinearAveragePool": pool("AveragePool", *POOL),
        "QLinearGlobalAveragePool": pool("GlobalAveragePool"),
        "QGemm": gemm,
        "MatMulIntegerToFloat": matmul_integer_to_float,
        "DynamicQuantizeMatMul": dynamic_quantize_matmul,
    }
)
