"""Energy of a run: operations and bytes at a datasheet's figures, static power times latency."""

from dataclasses import dataclass
from fractions import Fraction

from emu.devices.datasheet import Datasheet
from emu.devices.terms import exact
from emu.ir.trace import Trace


@dataclass(frozen=True, slots=True)
class Energy:
    """Picojoules, rounded down."""

    dynamic: int
    static: int


def energy_pj(trace: Trace, sheet: Datasheet) -> Energy:
    """Charge every operation and byte of ``trace``, and its latency (1 W x 1 ps = 1 pJ)."""
    did, memory, figures = trace.did, sheet.memory, sheet.energy
    dynamic = did.work.flops * exact(figures.pj_per_flop_f32)
    for dtype, flops in did.narrow.items():
        figure = figures.pj_per_flop.get(dtype, figures.pj_per_flop_f32)
        dynamic += flops * (exact(figure) - exact(figures.pj_per_flop_f32))
    dynamic += did.work.transcendentals * exact(figures.pj_per_transcendental)
    dynamic += did.traffic.total * exact(memory.dram.energy_pj_byte)
    dynamic += did.onchip_bytes * exact(memory.onchip.energy_pj_byte)
    dynamic += did.link_bytes * exact(sheet.link.energy_pj_byte)
    dynamic += did.l2_bytes * (exact(memory.l2.energy_pj_byte) if memory.l2 else Fraction())
    return Energy(int(dynamic), int(trace.total_ps * exact(figures.static_w)))
