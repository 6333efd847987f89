"""Ops as steps of a program of rows: ``STEPS_OF[op]`` writes them down and returns the result."""

from collections.abc import Sequence
from math import pi, sqrt

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.activations import ACTIVATIONS, CHOICES, MASKS
from emu.kernels.fast.code import Code, Lower, Term, Terms, float_of
from emu.kernels.fast.inputs import integer

# What is no op of the table: a power of one input, and x * factor[C] + shift[C] along dimension 1.
WHOLE_POWER, SCALED = "whole power", "scaled"
WHOLE_EXPONENTS = (2, 3)


def whole_exponent(exponent: Array) -> int | None:
    """The number that is multiplied by itself so often, rather than by logarithms; None if not."""
    value = exponent.reshape(-1)[0] if exponent.size == 1 else 0
    return int(value) if value in WHOLE_EXPONENTS else None


def scale_and_shift(numbers: Sequence[Array], attrs: Attrs) -> tuple[Array, Array]:
    """What a batch normalisation multiplies by and adds, each ``[C]``: its inputs after the first.

    ``(x - mean) / sqrt(variance + epsilon) * scale + bias``, with all that is no x put together.
    """
    scale, bias, mean, variance = numbers
    factor = scale / np.sqrt(variance + np.float32(float_of(attrs, "epsilon", 1e-5)))
    return factor, bias - mean * factor


def _whole_power(code: Code, ins: Terms, attrs: Attrs) -> Term:
    (x,) = ins
    found = code.add("mul", x, x)
    for _ in range(integer(attrs, "exponent", 2) - 2):
        found = code.add("mul", found, x)
    return found


def _named(name: str) -> Lower:
    return lambda code, ins, attrs: code.add(name, *ins)


def _reciprocal(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("div", 1.0, ins[0])


def _relu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("max", ins[0], 0.0)


def _clip(code: Code, ins: Terms, attrs: Attrs) -> Term:
    found = ins[0]
    if "min" in attrs:
        found = code.add("max", found, float_of(attrs, "min", 0.0))
    if "max" in attrs:
        found = code.add("min", found, float_of(attrs, "max", 0.0))
    return found


def _sigmoid_of(code: Code, x: Term) -> Term:
    power = code.add("exp", code.add("neg", x))
    return code.add("div", 1.0, code.add("add", power, 1.0))


def _sigmoid(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return _sigmoid_of(code, ins[0])


def _swish(code: Code, ins: Terms, attrs: Attrs) -> Term:
    slope = float_of(attrs, "alpha", 1.0)
    inner = ins[0] if slope == 1 else code.add("mul", ins[0], slope)
    return code.add("mul", ins[0], _sigmoid_of(code, inner))


def _line(code: Code, x: Term, slope: float, offset: float) -> Term:
    """``slope * x + offset`` within [0, 1]."""
    line = code.add("add", code.add("mul", x, slope), offset)
    return code.add("min", code.add("max", line, 0.0), 1.0)


def _hard_sigmoid(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return _line(code, ins[0], float_of(attrs, "alpha", 0.2), float_of(attrs, "beta", 0.5))


def _hard_swish(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("mul", ins[0], _line(code, ins[0], 1 / 6, 0.5))


def _leaky_relu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    low = code.add("mul", code.add("min", ins[0], 0.0), float_of(attrs, "alpha", 0.01))
    return code.add("add", code.add("max", ins[0], 0.0), low)


def _gelu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    """The tanh form is that of Hendrycks and Gimpel 2016."""
    (x,) = ins
    if attrs.get("approximate", "none") == "tanh":
        cubic = code.add("add", code.add("mul", code.add("mul", x, x), 0.044715), 1.0)
        inner = code.add("mul", code.add("mul", cubic, x), sqrt(2 / pi))
        part = code.add("tanh", inner)
    else:
        part = code.add("erf", code.add("mul", x, sqrt(0.5)))
    return code.add("mul", code.add("add", part, 1.0), code.add("mul", x, 0.5))


def _softmax(code: Code, ins: Terms, attrs: Attrs) -> Term:
    powers = code.add("exp_of_difference", ins[0], code.fold("largest", ins[0]))
    return code.add("div", powers, code.fold("sum", powers))


def _log_softmax(code: Code, ins: Terms, attrs: Attrs) -> Term:
    shifted = code.add("sub", ins[0], code.fold("largest", ins[0]))
    total = code.fold("sum", code.add("exp", shifted))
    return code.add("sub", shifted, code.add("log", total))


def _scaled(code: Code, ins: Terms, attrs: Attrs) -> Term:
    x, factor, shift = ins
    return code.add("add", code.add("mul", x, factor), shift)


def _layer_norm(code: Code, ins: Terms, attrs: Attrs) -> Term:
    centred = code.add("sub", ins[0], code.mean(ins[0]))
    variance = code.mean(code.add("mul", centred, centred))
    spread = code.add("sqrt", code.add("add", variance, float_of(attrs, "epsilon", 1e-5)))
    found = code.add("mul", code.add("div", centred, spread), ins[1])
    return code.add("add", found, ins[2]) if len(ins) > 2 else found


def _sum(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.fold("sum", ins[0])


def _mean(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.mean(ins[0])


def _largest(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.fold("largest", ins[0])


def _smallest(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.fold("smallest", ins[0])


NAMED = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Max": "max",
    "Min": "min",
    "Neg": "neg",
    "Abs": "abs",
    "Sqrt": "sqrt",
    "Exp": "exp",
    "Log": "log",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "rint",
    "Tanh": "tanh",
    "Erf": "erf",
    "BiasAdd": "add",
}
ELEMENTWISE: dict[str, Lower] = {
    **{op: _named(name) for op, name in NAMED.items()},
    "Reciprocal": _reciprocal,
    "Relu": _relu,
    "Clip": _clip,
    "Sigmoid": _sigmoid,
    "Swish": _swish,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Gelu": _gelu,
    **ACTIVATIONS,
}
# Ops that fold the last dimensions of their first input, and those whose result has its shape.
WHOLE: dict[str, Lower] = {
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "LayerNormalization": _layer_norm,
}
REDUCING: dict[str, Lower] = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceMax": _largest,
    "ReduceMin": _smallest,
}
FOLDING = WHOLE | REDUCING
OWN: dict[str, Lower] = {WHOLE_POWER: _whole_power, SCALED: _scaled}
STEPS_OF = ELEMENTWISE | FOLDING | MASKS | CHOICES | OWN
