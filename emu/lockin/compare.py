"""Values of a stack as it was and with other parts: the same inputs, compared in the coarser type.

What does not run by itself has no values; a substitution that runs with further slots changed is
compared with these changed too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emu.dump import Watch
from emu.executing.values import compare, tolerance_of
from emu.ir.types import Array
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import Choice
from emu.lockin.stacked import brought_down
from emu.models.inputs import random_inputs
from emu.models.model import Model
from emu.run import Check

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
    tolerance = max(before.tolerance, after.tolerance)
    found = compare(after.outputs, before.outputs, tolerance)
    return Compared(replace(found, reference=NATIVE))


@dataclass(frozen=True)
class _Values:
    outputs: Mapping[str, Array]
    tolerance: float


def _run(opened: Model, bench: Bench, choice: Choice) -> _Values:
    """The values of a stack; each segment of the program is brought down by itself."""
    source = bench.laboratory.source
    known = random_inputs(source.graph, 0)
    tolerance = 0.0
    for graph in source.segments():
        laboratory = replace(bench.laboratory, source=replace(source, graph=graph, reads=()))
        executable = brought_down(opened, choice, laboratory, Watch())
        run = executable.run({name: known[name] for name in graph.inputs}, check=False)
        known |= run.outputs or {}
        tolerance = max(tolerance, tolerance_of(run.compiled))
    return _Values({name: known[name] for name in source.graph.outputs}, tolerance)
