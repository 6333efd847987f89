"""What a run leaves, level by level; every noun of the flow can be reached from it and prints."""

from collections.abc import Mapping
from dataclasses import dataclass

from emu.ir.graph import Graph
from emu.ir.group import Fused
from emu.ir.precision import DTYPES
from emu.ir.program import Program
from emu.ir.schedule import Schedule
from emu.ir.trace import Trace
from emu.ir.types import Array
from emu.models.model import Model
from emu.stack import Stack


@dataclass(frozen=True)
class Compiled:
    """A model brought down to a device binary.

    ``graph`` is the model as read, ``lowered`` the graph after the passes, ``container`` the
    binary, ``program`` what the driver parsed back from it, ``trace`` its run on the clock.
    """

    model: Model
    stack: Stack
    graph: Graph
    lowered: Graph
    fused: Fused
    schedule: Schedule
    container: bytes
    program: Program
    trace: Trace


STEPS = DTYPES["int8"].tolerance  # values may be a step of rounding apart, and it is said how many


@dataclass(frozen=True)
class Check:
    """Computed values against a reference; errors are absolute, and relative to its largest.

    ``unlike`` names the first output of another shape, with both shapes; its error is infinite.
    Of all ``numbers`` so many are ``apart`` as sums in another order never are: of values that are
    rounded to few bits some are, where one side rounds a half up and the other down.
    """

    reference: str
    max_abs_error: float
    max_rel_error: float
    tolerance: float
    unlike: str = ""
    apart: int = 0
    numbers: int = 0

    @property
    def ok(self) -> bool:
        """Whether the values are those of the reference."""
        return self.max_rel_error <= self.tolerance

    def __str__(self) -> str:
        errors = f"error {self.max_abs_error:.1e}, relative {self.max_rel_error:.1e}"
        if self.ok and self.apart and self.tolerance >= STEPS:
            errors += f"; {self.apart:,} of {self.numbers:,} numbers are apart, beyond 1e-04"
        return f"{self.reference} within {self.tolerance:.0e}: {self.unlike or errors}"


@dataclass(frozen=True)
class Run:
    """A compiled model, and the values of one execution (None if only shapes were priced)."""

    compiled: Compiled
    inputs: Mapping[str, Array] | None
    outputs: Mapping[str, Array] | None
    check: Check | None
