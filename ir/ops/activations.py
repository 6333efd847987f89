"""Activations beside the usual ones, and angles: one input, one output of the same shape."""

import numpy as np

from emu.ir.ops.elementwise import sigmoid, softplus
from emu.ir.ops.table import Fusion, op
from emu.ir.ops.type_rules import float_as_first
from emu.ir.ops.work_rules import per_element
from emu.ir.types import Array

# Klambauer et al. 2017, as ONNX rounds them.
SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


@op("Elu", Fusion.ELEMENTWISE, float_as_first, per_element(3, 1))
def elu(x: Array, alpha: float = 1.0) -> Array:
    """x, or alpha * (exp(x) - 1) where x is negative."""
    return np.where(x < 0, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)), x)


@op("Celu", Fusion.ELEMENTWISE, float_as_first, per_element(4, 1))
def celu(x: Array, alpha: float = 1.0) -> Array:
    """x, or alpha * (exp(x / alpha) - 1) where x is negative."""
    size = x.dtype.type(alpha)
    return np.where(x < 0, size * np.expm1(np.minimum(x / size, 0)), x)


@op("Selu", Fusion.ELEMENTWISE, float_as_first, per_element(4, 1))
def selu(x: Array, alpha: float = SELU_ALPHA, gamma: float = SELU_GAMMA) -> Array:
    """gamma times the exponential linear unit of ``alpha``."""
    return x.dtype.type(gamma) * elu(x, alpha)


@op("Mish", Fusion.ELEMENTWISE, float_as_first, per_element(4, 3))
def mish(x: Array) -> Array:
    """x * tanh(softplus(x)): Misra 2019."""
    return x * np.tanh(softplus(x))


@op("Swish", Fusion.ELEMENTWISE, float_as_first, per_element(4, 1))
def swish(x: Array, alpha: float = 1.0) -> Array:
    """x * sigmoid(alpha * x)."""
    return x * sigmoid(x * x.dtype.type(alpha))


@op("Softsign", Fusion.ELEMENTWISE, float_as_first, per_element(3))
def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + np.abs(x))


@op("ThresholdedRelu", Fusion.ELEMENTWISE, float_as_first, per_element(2))
def thresholded_relu(x: Array, alpha: float = 1.0) -> Array:
    """x where it is above alpha, else 0."""
    return np.where(x > x.dtype.type(alpha), x, x.dtype.type(0))


@op("Shrink", Fusion.ELEMENTWISE, float_as_first, per_element(4))
def shrink(x: Array, bias: float = 0.0, lambd: float = 0.5) -> Array:
    """x moved by ``bias`` towards 0, and 0 within ``lambd`` of it."""
    edge, step = x.dtype.type(lambd), x.dtype.type(bias)
    result: Array = np.zeros_like(x)
    np.copyto(result, np.subtract(x, step), where=x > edge)
    np.copyto(result, np.add(x, step), where=x < -edge)
    return result


@op("Sin", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def sin(x: Array) -> Array:
    """The sine of x in radians."""
    return np.sin(x)


@op("Cos", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def cos(x: Array) -> Array:
    """The cosine of x in radians."""
    return np.cos(x)


@op("Tan", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def tan(x: Array) -> Array:
    """The tangent of x in radians."""
    return np.tan(x)


@op("Asin", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def asin(x: Array) -> Array:
    """The angle whose sine is x, in radians."""
    return np.arcsin(x)


@op("Acos", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def acos(x: Array) -> Array:
    """The angle whose cosine is x, in radians."""
    return np.arccos(x)


@op("Atan", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def atan(x: Array) -> Array:
    """The angle whose tangent is x, in radians."""
    return np.arctan(x)


@op("Sinh", Fusion.ELEMENTWISE, float_as_first, per_element(2, 1))
def sinh(x: Array) -> Array:
    """The hyperbolic sine."""
    return np.sinh(x)


@op("Cosh", Fusion.ELEMENTWISE, float_as_first, per_element(2, 1))
def cosh(x: Array) -> Array:
    """The hyperbolic cosine."""
    return np.cosh(x)


@op("Asinh", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def asinh(x: Array) -> Array:
    """The inverse of the hyperbolic sine."""
    return np.arcsinh(x)


@op("Acosh", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def acosh(x: Array) -> Array:
    """The inverse of the hyperbolic cosine."""
    return np.arccosh(x)


@op("Atanh", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def atanh(x: Array) -> Array:
    """The inverse of the hyperbolic tangent."""
    return np.arctanh(x)
