"""Values of a stack as it was and with other parts: the same inputs, compared in the coarser type.

What does not run by itself has no values; a substitution that runs with further slots changed is
compared with these changed too.
"""

from dataclasses import dataclass

from emu.dump import Watch
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import Choice
from emu.lockin.stacked import brought_down
from emu.models.model import Model
from emu.run import Check, Run
from emu.values import compare, tolerance_of

NATIVE = "the stack as it was"


@dataclass(frozen=True)
class Compared:
    """How values compare; ``check`` is None if they were not computed."""

    check: Check | None = None

    @property
    def said(self) -> str:
        """One word for JSON: checked, differs or unchecked."""
        if self.check is None:
            return "unchecked"
        return "checked" if self.check.ok else "differs"

    def __str__(self) -> str:
        return self.said if self.check is None else f"{self.said}: {self.check}"


def compared(opened: Model, bench: Bench, outcome: Outcome) -> Compared:
    """Compute the values of both stacks from the same random inputs, and compare them."""
    choice = {**bench.base, **outcome.replaced, **dict(outcome.cofactors)}
    if outcome.ratio is None and not outcome.cofactors:
        return Compared()
    before, after = (_run(opened, bench, c) for c in (bench.base, choice))
    tolerance = max(tolerance_of(run.compiled) for run in (before, after))
    found = compare(after.outputs or {}, before.outputs or {}, tolerance)
    return Compared(Check(NATIVE, found.max_abs_error, found.max_rel_error, tolerance))


def _run(opened: Model, bench: Bench, choice: Choice) -> Run:
    return brought_down(opened, choice, bench.laboratory, Watch()).run(check=False)
