"""One input, one output of the same shape: out[i] depends on in[i] only."""

import numpy as np

from emu.ir.ops import type_rules as types
from emu.ir.ops.erf import erf as error_function
from emu.ir.ops.table import Fusion, op
from emu.ir.ops.type_rules import float_as_first, same_as_first
from emu.ir.ops.work_rules import movement, per_element
from emu.ir.types import Array, narrowed

# sqrt(2/pi) and the cubic coefficient of the tanh form: Hendrycks and Gimpel 2016.
TANH_SCALE = float(np.sqrt(2 / np.pi))
TANH_CUBIC = 0.044715


@op("Identity", Fusion.ELEMENTWISE, same_as_first, movement)
def identity(x: Array) -> Array:
    """x itself."""
    return x


@op("Relu", Fusion.ELEMENTWISE, same_as_first, per_element(1))
def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, x.dtype.type(0))


@op("LeakyRelu", Fusion.ELEMENTWISE, float_as_first, per_element(2))
def leaky_relu(x: Array, alpha: float = 0.01) -> Array:
    """x, or alpha*x where x is negative."""
    return np.where(x < 0, x * x.dtype.type(alpha), x)


@op("Sigmoid", Fusion.ELEMENTWISE, float_as_first, per_element(2, 1, 1))
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by the side whose exponential cannot overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, x.dtype.type(1), small) / (1 + small)


@op("Tanh", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


@op("Erf", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def erf(x: Array) -> Array:
    """The error function."""
    return error_function(x)


@op("Exp", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def exp(x: Array) -> Array:
    """e to the x."""
    return np.exp(x)


@op("Log", Fusion.ELEMENTWISE, float_as_first, per_element(0, 1))
def log(x: Array) -> Array:
    """The natural logarithm."""
    return np.log(x)


@op("Sqrt", Fusion.ELEMENTWISE, float_as_first, per_element(1))
def sqrt(x: Array) -> Array:
    """The square root."""
    return np.sqrt(x)


@op("Reciprocal", Fusion.ELEMENTWISE, float_as_first, per_element(1, 0, 1))
def reciprocal(x: Array) -> Array:
    """1 / x."""
    return np.reciprocal(x)


@op("Neg", Fusion.ELEMENTWISE, same_as_first, per_element(1))
def neg(x: Array) -> Array:
    """-x."""
    return np.negative(x)


@op("Abs", Fusion.ELEMENTWISE, same_as_first, per_element(1))
def absolute(x: Array) -> Array:
    """The size of x without its sign."""
    return np.abs(x)


@op("Floor", Fusion.ELEMENTWISE, float_as_first, per_element(1))
def floor(x: Array) -> Array:
    """The largest integer that is not above x."""
    return np.floor(x)


@op("Ceil", Fusion.ELEMENTWISE, float_as_first, per_element(1))
def ceil(x: Array) -> Array:
    """The smallest integer that is not below x."""
    return np.ceil(x)


@op("Round", Fusion.ELEMENTWISE, float_as_first, per_element(1))
def round_to_even(x: Array) -> Array:
    """The nearest integer; halves go to the even one."""
    return np.rint(x)


@op("Sign", Fusion.ELEMENTWISE, same_as_first, per_element(1))
def sign(x: Array) -> Array:
    """-1, 0 or 1."""
    return np.sign(x)


@op("Gelu", Fusion.ELEMENTWISE, float_as_first, per_element(10, 1))
def gelu(x: Array, approximate: str = "none") -> Array:
    """x * P(X <= x) for a standard normal X; ``approximate`` "tanh" takes the tanh form."""
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    if approximate == "tanh":
        inner = x.dtype.type(TANH_SCALE) * (x + x.dtype.type(TANH_CUBIC) * x * x * x)
        return half * x * (one + np.tanh(inner))
    return half * x * (one + error_function(x * x.dtype.type(np.sqrt(0.5))))


@op("HardSigmoid", Fusion.ELEMENTWISE, float_as_first, per_element(4))
def hard_sigmoid(x: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    """alpha*x + beta, kept within [0, 1]."""
    line = x * x.dtype.type(alpha) + x.dtype.type(beta)
    return np.clip(line, x.dtype.type(0), x.dtype.type(1))


@op("HardSwish", Fusion.ELEMENTWISE, float_as_first, per_element(5))
def hard_swish(x: Array) -> Array:
    """x times the hard sigmoid with slope 1/6."""
    return x * hard_sigmoid(x, 1 / 6, 0.5)


@op("Softplus", Fusion.ELEMENTWISE, float_as_first, per_element(2, 2))
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), by the side whose exponential cannot overflow."""
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))


@op("Not", Fusion.ELEMENTWISE, types.truth, per_element(1))
def logical_not(x: Array) -> Array:
    """True where x is false."""
    return np.logical_not(x)


@op("Cast", Fusion.ELEMENTWISE, types.cast, per_element(1))
def cast(x: Array, to: str) -> Array:
    """x in the element type ``to``; real numbers lose their fraction on the way to integers."""
    return narrowed(x, to)


@op("Clip", Fusion.ELEMENTWISE, same_as_first, per_element(2))
def clip(x: Array, min: float | None = None, max: float | None = None) -> Array:
    """x kept within [min, max]; an absent bound does not bind."""
    low = x if min is None else np.maximum(x, x.dtype.type(min))
    return low if max is None else np.minimum(low, x.dtype.type(max))
