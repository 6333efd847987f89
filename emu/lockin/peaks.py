"""Chips with the peaks of others, so that the size of the silicon is not called lock-in."""

from dataclasses import replace
from fractions import Fraction

from emu.devices.datasheet import Datasheet


def scaled(sheet: Datasheet, like: Datasheet) -> Datasheet:
    """A chip with the shape of ``sheet`` and the peaks of ``like``: rates, bandwidth, capacity."""
    ours, theirs = sheet.memory.dram, like.memory.dram
    dram = replace(ours, bandwidth_gb_s=theirs.bandwidth_gb_s, capacity_gib=theirs.capacity_gib)
    factor = _peak(like) / _peak(sheet)
    clock = float(Fraction(str(sheet.compute.clock_mhz)) * factor)
    compute = replace(sheet.compute, clock_mhz=clock)
    return replace(sheet, compute=compute, memory=replace(sheet.memory, dram=dram))


def _peak(sheet: Datasheet) -> Fraction:
    """Operations per microsecond of all cores in the element type that the chip is fastest in."""
    rates = [r for unit in sheet.compute.units for r in unit.flops_per_cycle_per_core.values()]
    compute = sheet.compute
    return Fraction(str(max(rates))) * compute.cores * Fraction(str(compute.clock_mhz))
