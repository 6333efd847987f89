"""Elementwise ops as single numpy calls, or in steps on blocks that stay in a core's cache."""

from collections.abc import Callable
from functools import partial

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.inputs import integer, number
from emu.kernels.fast.lying import flat
from emu.kernels.fast.writer import ANY, FIRST, Call, Into, Writer, calling

BLOCK = 2**14  # elements; 64 KiB, so that two or three arrays of a block stay in cache
UFUNCS: dict[str, np.ufunc] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Abs": np.absolute,
    "Exp": np.exp,
    "Log": np.log,
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}
# erf(x) = x * top(x^2) / bottom(x^2) on [-4, 4], beyond which erf is 1 in f32; powers of x^2 from
# the highest. A rational least-squares fit of erf(x)/x at 4000 Chebyshev points, reweighted until
# the relative error was level, at 7e-8; in f32 it is within 4e-7 of erf, which a test checks.
ERF_LIMIT = 4.0
ERF_TOP = (
    1.91103364e-08,
    -1.9422564e-06,
    1.47281564e-04,
    3.99044994e-03,
    5.15245721e-02,
    2.07123056e-01,
    1.12837911,
)
ERF_BOTTOM = (1.02107599e-03, 1.49578545e-02, 1.17969818e-01, 5.16889274e-01, 1.0)
# The tanh form of GELU: Hendrycks and Gimpel 2016.
GELU_SCALE = np.float32(np.sqrt(2 / np.pi))
GELU_CUBIC = np.float32(0.044715)
ONE = np.float32(1)


def _ufunc(ufunc: np.ufunc) -> Writer:
    return Writer(lambda ins, attrs, out: partial(ufunc, *ins, out=out), ANY)


def _in_blocks(step: Callable[[Array, Attrs], None]) -> Into:
    def into(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
        if ins[0] is not out:
            np.copyto(out, ins[0])
        elements = flat(out)
        for start in range(0, elements.size, BLOCK):
            step(elements[start : start + BLOCK], attrs)

    return into


def _power(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    x, exponent = ins
    if exponent.size == 1 and exponent.reshape(()) == 2:
        np.square(x, out=out)
    else:
        np.power(x, exponent, out=out)


def _relu(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    return partial(np.maximum, ins[0], np.float32(0), out=out)


def _bias_add(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """``x + b[C]`` along one dimension."""
    behind = out.ndim - 1 - integer(attrs, "axis", 1) % out.ndim
    return partial(np.add, ins[0], ins[1].reshape(-1, *(1,) * behind), out=out)


def _clip(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    np.maximum(ins[0], np.float32(number(attrs, "min", -np.inf)), out=out)
    np.minimum(out, np.float32(number(attrs, "max", np.inf)), out=out)


def _within(x: Array, limit: float) -> None:
    np.minimum(x, np.float32(limit), out=x)
    np.maximum(x, np.float32(-limit), out=x)


def _erf(x: Array, attrs: Attrs) -> None:
    _within(x, ERF_LIMIT)
    square = np.square(x)
    x *= _polynomial(ERF_TOP, square)
    x /= _polynomial(ERF_BOTTOM, square)
    _within(x, 1.0)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    total = np.multiply(x, np.float32(coefficients[0]))
    for coefficient in coefficients[1:-1]:
        total += np.float32(coefficient)
        total *= x
    total += np.float32(coefficients[-1])
    return total


def _sigmoid(x: Array, attrs: Attrs) -> None:
    np.negative(x, out=x)
    np.exp(x, out=x)
    np.add(x, ONE, out=x)
    np.reciprocal(x, out=x)


def _gelu(x: Array, attrs: Attrs) -> None:
    half = x * np.float32(0.5)
    if attrs.get("approximate", "none") == "tanh":
        x *= (np.square(x) * GELU_CUBIC + ONE) * GELU_SCALE
        np.tanh(x, out=x)
    else:
        x *= np.float32(np.sqrt(0.5))
        _erf(x, attrs)
    x += ONE
    x *= half


def _leaky_relu(x: Array, attrs: Attrs) -> None:
    low = np.minimum(x, np.float32(0)) * np.float32(number(attrs, "alpha", 0.01))
    np.maximum(x, np.float32(0), out=x)
    x += low


ELEMENTWISE: dict[str, Writer] = {
    **{name: _ufunc(ufunc) for name, ufunc in UFUNCS.items()},
    "Pow": calling(_power, ANY),
    "BiasAdd": Writer(_bias_add, FIRST),
    "Relu": Writer(_relu, FIRST),
    "Clip": calling(_clip, FIRST),
    "Erf": calling(_in_blocks(_erf), FIRST),
    "Sigmoid": calling(_in_blocks(_sigmoid), FIRST),
    "Gelu": calling(_in_blocks(_gelu), FIRST),
    "LeakyRelu": calling(_in_blocks(_leaky_relu), FIRST),
}
