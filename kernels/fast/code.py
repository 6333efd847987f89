"""Steps of a program of rows as they are written down.

A term is a number, an operand in memory, or the position of the step that makes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from emu.ir.graph import Attrs
from emu.kernels.fast.inputs import number
from emu.kernels.fast.rows import Operand

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
