"""Several inputs that are repeated to one shape, then combined element by element."""

import numpy as np

from emu.ir.ops import type_rules as types
from emu.ir.ops.table import Fusion, op
from emu.ir.ops.type_rules import broadcast
from emu.ir.ops.work_rules import per_element
from emu.ir.types import Array


@op("Add", Fusion.BROADCAST, broadcast, per_element(1))
def add(a: Array, b: Array) -> Array:
    """a + b."""
    return np.add(a, b)


@op("Sub", Fusion.BROADCAST, broadcast, per_element(1))
def sub(a: Array, b: Array) -> Array:
    """a - b."""
    return np.subtract(a, b)


@op("Mul", Fusion.BROADCAST, broadcast, per_element(1))
def mul(a: Array, b: Array) -> Array:
    """a * b."""
    return np.multiply(a, b)


@op("Div", Fusion.BROADCAST, broadcast, per_element(1, 0, 1))
def div(a: Array, b: Array) -> Array:
    """a / b; of integers the quotient without its fraction, as in C."""
    if np.issubdtype(a.dtype, np.floating):
        return np.divide(a, b)
    floor, rest = np.divmod(a, b)
    return floor + ((rest != 0) & ((a < 0) != (b < 0))).astype(a.dtype)


@op("Pow", Fusion.BROADCAST, types.power, per_element(0, 1))
def power(a: Array, b: Array) -> Array:
    """a to the b, in the element type of a."""
    return np.power(a, b).astype(a.dtype, copy=False)


@op("Max", Fusion.BROADCAST, broadcast, per_element(1))
def maximum(a: Array, b: Array) -> Array:
    """The larger of both."""
    return np.maximum(a, b)


@op("Min", Fusion.BROADCAST, broadcast, per_element(1))
def minimum(a: Array, b: Array) -> Array:
    """The smaller of both."""
    return np.minimum(a, b)


@op("Where", Fusion.BROADCAST, types.choice, per_element(1))
def where(condition: Array, a: Array, b: Array) -> Array:
    """a where the condition holds, else b."""
    return np.where(condition, a, b)


@op("Equal", Fusion.BROADCAST, types.comparison, per_element(1))
def equal(a: Array, b: Array) -> Array:
    """a == b."""
    return np.equal(a, b)


@op("Greater", Fusion.BROADCAST, types.comparison, per_element(1))
def greater(a: Array, b: Array) -> Array:
    """a > b."""
    return np.greater(a, b)


@op("Less", Fusion.BROADCAST, types.comparison, per_element(1))
def less(a: Array, b: Array) -> Array:
    """a < b."""
    return np.less(a, b)


@op("GreaterOrEqual", Fusion.BROADCAST, types.comparison, per_element(1))
def greater_or_equal(a: Array, b: Array) -> Array:
    """a >= b."""
    return np.greater_equal(a, b)


@op("LessOrEqual", Fusion.BROADCAST, types.comparison, per_element(1))
def less_or_equal(a: Array, b: Array) -> Array:
    """a <= b."""
    return np.less_equal(a, b)


@op("Mod", Fusion.BROADCAST, broadcast, per_element(3))
def modulo(a: Array, b: Array, fmod: int = 0) -> Array:
    """The rest of a / b, with the sign of b, or of a where ``fmod`` is 1."""
    return np.fmod(a, b) if fmod else np.mod(a, b)


@op("Xor", Fusion.BROADCAST, types.logical, per_element(1))
def logical_xor(a: Array, b: Array) -> Array:
    """True where one of both is."""
    return np.logical_xor(a, b)


@op("And", Fusion.BROADCAST, types.logical, per_element(1))
def logical_and(a: Array, b: Array) -> Array:
    """True where both are."""
    return np.logical_and(a, b)


@op("Or", Fusion.BROADCAST, types.logical, per_element(1))
def logical_or(a: Array, b: Array) -> Array:
    """True where one is."""
    return np.logical_or(a, b)


@op("PRelu", Fusion.BROADCAST, types.into_first, per_element(2))
def prelu(x: Array, slope: Array) -> Array:
    """x, or slope*x where x is negative."""
    return np.where(x < 0, x * slope, x)


@op("BiasAdd", Fusion.BROADCAST, types.per_channel(1), per_element(1))
def bias_add(x: Array, b: Array, axis: int = 1) -> Array:
    """x + b[C] along dimension ``axis``; emu's own op, used inside of tile programs."""
    return x + along(b, x.ndim, axis)


@op("BatchNormalization", Fusion.BROADCAST, types.per_channel(4), per_element(2))
def batch_normalization(
    x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float = 1e-5
) -> Array:
    """(x - mean) / sqrt(var + epsilon) * scale + bias per channel: one multiply-add, x[N,C,...]."""
    factor = scale / np.sqrt(var + var.dtype.type(epsilon))
    return x * along(factor, x.ndim, 1) + along(bias - mean * factor, x.ndim, 1)


def along(vector: Array, rank: int, axis: int) -> Array:
    """Return ``vector`` as a tensor of ``rank`` dimensions that lies along ``axis``."""
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)
