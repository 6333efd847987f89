"""Activations as steps of a program of rows, and choices between two values by a mask.

A mask has all bits of an element set or none; it stays in the program that makes it.
"""

from emu.ir.graph import Attrs
from emu.ir.ops.activations import SELU_ALPHA, SELU_GAMMA
from emu.kernels.fast.code import Code, Lower, Term, Terms, float_of

MISH_MOST = 20.0  # beyond, tanh(softplus(x)) is 1 in f32, and exp(2 * x) is not yet infinite


def chosen(code: Code, mask: Term, a: Term, b: Term) -> int:
    """``a`` where the mask is set, else ``b``."""
    return code.add("or", code.add("and", mask, a), code.add("without", b, mask))


def _exponential(code: Code, x: Term, size: float, most: float = 1.0) -> int:
    """``x``, or ``most * size * (exp(x / size) - 1)`` where x is negative."""
    low = code.add("min", x, 0.0)
    inner = low if size == 1 else code.add("div", low, size)
    below = code.add("mul", code.add("expm1", inner), most * size)
    return chosen(code, code.add("less", x, 0.0), below, x)


def _elu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return _exponential(code, ins[0], 1.0, float_of(attrs, "alpha", 1.0))


def _celu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return _exponential(code, ins[0], float_of(attrs, "alpha", 1.0))


def _selu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    inner = _exponential(code, ins[0], 1.0, float_of(attrs, "alpha", SELU_ALPHA))
    return code.add("mul", inner, float_of(attrs, "gamma", SELU_GAMMA))


def _softplus(code: Code, ins: Terms, attrs: Attrs) -> Term:
    """``max(x, 0) + log(1 + e)`` with ``e = exp(-|x|)``; what rounding takes from 1 + e is added.

    W. Kahan's log1p: log(1 + e) = log(u) + (e - (u - 1)) / u for u = 1 + e, rounded.
    """
    power = code.add("exp", code.add("neg", code.add("abs", ins[0])))
    sum = code.add("add", power, 1.0)
    lost = code.add("sub", power, code.add("sub", sum, 1.0))
    log = code.add("add", code.add("log", sum), code.add("div", lost, sum))
    return code.add("add", code.add("max", ins[0], 0.0), log)


def _mish(code: Code, ins: Terms, attrs: Attrs) -> Term:
    """``x * w / (w + 2)``, w = e * (e + 2), e = exp(x): tanh(log(1 + e)) without its logarithm."""
    power = code.add("exp", code.add("min", ins[0], MISH_MOST))
    w = code.add("mul", power, code.add("add", power, 2.0))
    return code.add("mul", ins[0], code.add("div", w, code.add("add", w, 2.0)))


def _softsign(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("div", ins[0], code.add("add", code.add("abs", ins[0]), 1.0))


def _thresholded_relu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("and", code.add("less", float_of(attrs, "alpha", 1.0), ins[0]), ins[0])


def _shrink(code: Code, ins: Terms, attrs: Attrs) -> Term:
    (x,) = ins
    edge, step = float_of(attrs, "lambd", 0.5), float_of(attrs, "bias", 0.0)
    above = code.add("and", code.add("less", edge, x), code.add("sub", x, step))
    return chosen(code, code.add("less", x, -edge), code.add("add", x, step), above)


def _prelu(code: Code, ins: Terms, attrs: Attrs) -> Term:
    x, slope = ins
    return chosen(code, code.add("less", x, 0.0), code.add("mul", x, slope), x)


def _less(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("less", *ins)


def _greater(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("less", ins[1], ins[0])


def _at_most(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("at_most", *ins)


def _at_least(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return code.add("at_most", ins[1], ins[0])


def _where(code: Code, ins: Terms, attrs: Attrs) -> Term:
    return chosen(code, *ins)


ACTIVATIONS: dict[str, Lower] = {
    "Elu": _elu,
    "Celu": _celu,
    "Selu": _selu,
    "Softplus": _softplus,
    "Mish": _mish,
    "Softsign": _softsign,
    "ThresholdedRelu": _thresholded_relu,
    "Shrink": _shrink,
    "PRelu": _prelu,
}
# Ops whose results are masks: truths, of which memory holds one byte each.
MASKS: dict[str, Lower] = {
    "Less": _less,
    "Greater": _greater,
    "LessOrEqual": _at_most,
    "GreaterOrEqual": _at_least,
}
CHOICES: dict[str, Lower] = {"Where": _where}
