"""What one launch moves and computes, from the closed counts of its tile program."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from emu.devices.tile_cost import Shares, computed_in
from emu.ir.count import count
from emu.ir.machine import Residency
from emu.ir.ops import Work
from emu.ir.regions import footprint_bytes
from emu.ir.tile import Compute, TileProgram
from emu.ir.trace import Footprint, Traffic
from emu.ir.types import NARROW


def launch_footprint(
    program: TileProgram, shares: Shares, residency: Residency | None, cores: int, array_cycles: int
) -> Footprint:
    """What one launch does, from the closed counts of its tile program.

    A ``residency`` says what a shared cache holds, None is a chip without one. What crosses the
    cache is for the chip to say.
    """
    block = None if residency is None else tuple(residency.block.items())
    return _footprint(program, shares, block, cores, array_cycles)


@lru_cache(maxsize=16384)
def _footprint(
    program: TileProgram,
    shares: Shares,
    block: tuple[tuple[int, int], ...] | None,
    cores: int,
    array_cycles: int,
) -> Footprint:
    """The same for all chips, as no rate counts; None is a chip without a shared cache."""
    counts = count(program, block or ())
    traffic, kept = Traffic(), 0
    for view, fetched in counts.fetched.items():
        if program.views[view].kept:
            kept += fetched
            continue
        traffic += _traffic(shares.cause(view), min(counts.unique[view], fetched), fetched)
    for view, stored in counts.stored.items():
        if program.views[view].kept:
            kept += stored
            continue
        once = program.views[view].type.bytes
        traffic += _traffic(shares.cause(view), min(once, stored), stored)
    moved = sum(counts.loaded.values()) + sum(counts.stored.values())
    return Footprint(
        traffic=traffic,
        onchip_bytes=moved + kept + counts.touched,
        work=counts.total_work,
        peak_onchip_bytes=footprint_bytes(program) * cores,
        cores=cores,
        array_cycles=array_cycles,
        narrow=_narrow(program, counts.work),
        kept_bytes=kept,
    )


def _narrow(program: TileProgram, work: Sequence[Work]) -> Mapping[str, int]:
    """Operations by the element type that they are done in, where that has fewer bits than f32."""
    found: dict[str, int] = {}
    for placed, done in zip(program.statements, work, strict=True):
        if not isinstance(placed.statement, Compute):
            continue
        dtype = computed_in(program, placed.statement)
        if dtype in NARROW or dtype in ("i8", "ui8"):
            found[dtype] = found.get(dtype, 0) + done.flops
    return found


def _traffic(cause: str, once: int, moved: int) -> Traffic:
    if cause == "compulsory":
        return Traffic(compulsory=once, reload=moved - once)
    if cause == "layout":
        return Traffic(layout=once, reload=moved - once)
    return Traffic(intermediate=once, reload=moved - once)
