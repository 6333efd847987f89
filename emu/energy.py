"""Energy of a run: operations and bytes at a datasheet's figures, static power times latency."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from emu.devices.datasheet import Datasheet
from emu.devices.power import dynamic_pj, levels_pj, operations_pj
from emu.devices.terms import exact
from emu.ir.trace import Trace


@dataclass(frozen=True, slots=True)
class Energy:
    """Picojoules of operations by element type, of bytes by level of memory, and static ones."""

    operations: Mapping[str, int]
    levels: Mapping[str, int]
    static: int

    @property
    def dynamic(self) -> int:
        """All operations and all bytes."""
        return sum(self.operations.values()) + sum(self.levels.values())

    @property
    def total(self) -> int:
        """All that was spent: the parts sum to it exactly."""
        return self.dynamic + self.static


def energy_pj(trace: Trace, sheet: Datasheet) -> Energy:
    """Charge every operation and byte of ``trace``, and its latency (1 W x 1 ps = 1 pJ).

    The dynamic sum is rounded down once; parts become integers by cumulative rounding.
    """
    did = trace.did
    operations, levels = operations_pj(did, sheet), levels_pj(did, sheet)
    whole = _whole((*operations.values(), *levels.values()))
    parts = dict(zip((*operations, *levels), whole, strict=True))
    return Energy(
        {name: parts[name] for name in operations},
        {name: parts[name] for name in levels},
        int(trace.total_ps * exact(sheet.energy.static_w)),
    )


def launches_pj(trace: Trace, sheet: Datasheet) -> tuple[int, ...]:
    """The share of each launch in the dynamic energy of a run, which they sum to exactly."""
    return _whole(dynamic_pj(launched.did, sheet) for launched in trace.launches)


def _whole(exactly: Iterable[Fraction]) -> tuple[int, ...]:
    """Whole numbers whose sum is that of ``exactly``, rounded down."""
    reached = accumulate(exactly, initial=Fraction())
    return tuple(int(b) - int(a) for a, b in pairwise(reached))
