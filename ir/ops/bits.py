"""Numbers bit by bit: logic and shifts of integers, and what a real number is beside a number."""

from typing import cast

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, take, text
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, broadcast, must_be_float
from emu.ir.ops.work_rules import per_element
from emu.ir.types import NUMPY, Array, TensorType

SIDES = ("LEFT", "RIGHT")


def _must_be_integer(x: TensorType) -> None:
    if NUMPY[x.dtype].kind not in "iu":
        raise ModelError(f"takes integers, not {x}")


def whole(types: Types, attrs: Attrs) -> Result:
    """Integers in and out."""
    (x,) = take(types, 1)
    _must_be_integer(x)
    return (x,)


def whole_pair(types: Types, attrs: Attrs) -> Result:
    """As broadcast, of integers; a shift goes to one of SIDES."""
    _must_be_integer(take(types, 2)[0])
    text(attrs, "direction", SIDES[0], SIDES)
    return broadcast(types, attrs)


def kind_of_real(types: Types, attrs: Attrs) -> Result:
    """i1 for each real number."""
    (x,) = take(types, 1)
    must_be_float(x)
    for name in ("negative", "positive"):
        integer(attrs, name, 1)
    return (TensorType("i1", x.shape),)


@op("BitwiseNot", Fusion.ELEMENTWISE, whole, per_element(1))
def bitwise_not(x: Array) -> Array:
    """Every bit the other way."""
    return np.invert(x)


@op("BitwiseAnd", Fusion.BROADCAST, whole_pair, per_element(1))
def bitwise_and(a: Array, b: Array) -> Array:
    """Bits that both have."""
    return np.bitwise_and(a, b)


@op("BitwiseOr", Fusion.BROADCAST, whole_pair, per_element(1))
def bitwise_or(a: Array, b: Array) -> Array:
    """Bits that one has."""
    return np.bitwise_or(a, b)


@op("BitwiseXor", Fusion.BROADCAST, whole_pair, per_element(1))
def bitwise_xor(a: Array, b: Array) -> Array:
    """Bits that one of both has."""
    return np.bitwise_xor(a, b)


@op("BitShift", Fusion.BROADCAST, whole_pair, per_element(1))
def bit_shift(a: Array, b: Array, direction: str) -> Array:
    """a moved by b bits; by no number of bits that it has, all are gone but copies of the sign."""
    bits = 8 * a.dtype.itemsize
    inside = (b >= 0) & (b < bits)
    by = np.where(inside, b, 0).astype(a.dtype)
    if direction == "LEFT":
        return np.where(inside, np.left_shift(a, by), a.dtype.type(0))
    gone = cast(Array, np.where(a < 0, ~a.dtype.type(0), a.dtype.type(0)))
    return np.where(inside, np.right_shift(a, by), gone)


@op("IsNaN", Fusion.ELEMENTWISE, kind_of_real, per_element(1))
def is_nan(x: Array) -> Array:
    """True where x is not a number."""
    return np.isnan(x)


@op("IsInf", Fusion.ELEMENTWISE, kind_of_real, per_element(1))
def is_infinite(x: Array, negative: int = 1, positive: int = 1) -> Array:
    """True where x is one of the infinities that are looked for."""
    below, above = np.isneginf(x) & bool(negative), np.isposinf(x) & bool(positive)
    return below | above
