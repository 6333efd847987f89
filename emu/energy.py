"""Energy of a run: operations and bytes at a datasheet's figures, static power times latency."""

from dataclasses import dataclass

from emu.devices.datasheet import Datasheet
from emu.devices.power import dynamic_pj
from emu.devices.terms import exact
from emu.ir.trace import Trace


@dataclass(frozen=True, slots=True)
class Energy:
    """Picojoules, rounded down."""

    dynamic: int
    static: int


def energy_pj(trace: Trace, sheet: Datasheet) -> Energy:
    """Charge every operation and byte of ``trace``, and its latency (1 W x 1 ps = 1 pJ)."""
    static = trace.total_ps * exact(sheet.energy.static_w)
    return Energy(int(dynamic_pj(trace.did, sheet)), int(static))
