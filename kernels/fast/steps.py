"""Ops as steps of a program of rows: ``STEPS_OF[op]`` writes them down and returns the result.

A term is a number, an operand in memory, or the position of the step that makes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import pi, sqrt
from typing import TypeAlias

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.inputs import integer, number
from emu.kernels.fast.rows import Operand

WHOLE_POWER = "whole power"  # of one input, which is no op of the table
WHOLE_EXPONENTS = (2, 3)
Term: TypeAlias = int | float | Operand  # an int is the position of a step
Terms: TypeAlias = Sequence[Term]


@dataclass(frozen=True, slots=True)
class Step:
    """``name(a, b)``, on all elements of a row or, if it is ``single``, on one number for it."""

    name: str
    a: Term
    b: Term
    single: bool


@dataclass
class Code:
    """The steps so far; ``columns`` are the elements of a row."""

    columns: int
    steps: list[Step] = field(default_factory=list[Step])

    def add(self, name: str, a: Term, b: Term | None = None) -> int:
        """Write down an elementwise step and return its position."""
        second = a if b is None else b
        self.steps.append(Step(name, a, second, self.is_single(a) and self.is_single(second)))
        return len(self.steps) - 1

    def fold(self, name: str, a: Term) -> int:
        """Write down a step that makes one number of each row."""
        self.steps.append(Step(name, a, a, True))
        return len(self.steps) - 1

    def spread(self, a: Term) -> int:
        """Write down a step that repeats one number along a row."""
        self.steps.append(Step("copy", a, a, False))
        return len(self.steps) - 1

    def is_single(self, term: Term) -> bool:
        """Whether a term is one number for a whole row."""
        if isinstance(term, Operand):
            return term.is_number
        return isinstance(term, float) or self.steps[term].single

    def mean(self, a: Term) -> int:
        """The mean of each row."""
        return self.add("mul", self.fold("sum", a), 1.0 / self.columns)


Lower: TypeAlias = Callable[[Code, Terms, Attrs], Term]


def float_of(attrs: Attrs, name: str, default: float) -> float:
    """A numeric attribute, which a model may give as a whole number; those are positions here."""
    return float(number(attrs, name, default))


def whole_exponent(exponent: Array) -> int | None:
    """The number that is multiplied by itself so often, rather than by logarithms; None if not."""
    value = exponent.reshape(-1)[0] if exponent.size == 1 else 0
    return int(value) if value in WHOLE_EXPONENTS else None


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
    powers = code.add("exp", code.add("sub", ins[0], code.fold("largest", ins[0])))
    return code.add("div", powers, code.fold("sum", powers))


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
}
# Ops that fold the last dimensions of their first input, and those whose result has its shape.
WHOLE: dict[str, Lower] = {"Softmax": _softmax, "LayerNormalization": _layer_norm}
REDUCING: dict[str, Lower] = {"ReduceSum": _sum, "ReduceMean": _mean, "ReduceMax": _largest}
FOLDING = WHOLE | REDUCING
STEPS_OF = ELEMENTWISE | FOLDING | {WHOLE_POWER: _whole_power}
