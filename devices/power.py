"""Power: what operations and bytes draw, and the time that a board's limit makes of it."""

from collections.abc import Mapping
from fractions import Fraction

from emu.devices.datasheet import Datasheet
from emu.devices.terms import ORDER, Settled, exact
from emu.ir.trace import Footprint

THROTTLE = "throttle"


def dynamic_pj(did: Footprint, sheet: Datasheet) -> Fraction:
    """Picojoules of every operation and byte, without static power."""
    spent = (*operations_pj(did, sheet).values(), *levels_pj(did, sheet).values())
    return sum(spent, Fraction())


def operations_pj(did: Footprint, sheet: Datasheet) -> Mapping[str, Fraction]:
    """Picojoules of operations, by element type: f32 stands for itself and for all wider ones.

    Transcendental functions are apart, whatever their type.
    """
    figures = sheet.energy
    wide = did.work.flops - sum(did.narrow.values())
    spent = {"f32": wide * exact(figures.pj_per_flop_f32)}
    for dtype, flops in sorted(did.narrow.items()):
        spent[dtype] = flops * exact(figures.pj_per_flop.get(dtype, figures.pj_per_flop_f32))
    spent["transcendental"] = did.work.transcendentals * exact(figures.pj_per_transcendental)
    return spent


def levels_pj(did: Footprint, sheet: Datasheet) -> Mapping[str, Fraction]:
    """Picojoules of bytes, by the level of memory they cross; a chip without a cache has no l2."""
    memory = sheet.memory
    spent = {"dram": did.traffic.total * exact(memory.dram.energy_pj_byte)}
    if memory.l2 is not None:
        spent["l2"] = did.l2_bytes * exact(memory.l2.energy_pj_byte)
    spent["onchip"] = did.onchip_bytes * exact(memory.onchip.energy_pj_byte)
    spent["link"] = did.link_bytes * exact(sheet.link.energy_pj_byte)
    return spent


def least_ps(did: Footprint, sheet: Datasheet) -> int:
    """The picoseconds in which the board can draw what ``did`` takes, 0 without a limit.

    Dynamic energy over what static power leaves of the board's limit; 1 pJ is 1 W for 1 ps.
    """
    if sheet.board is None or sheet.board.power_w is None:
        return 0
    left = exact(sheet.board.power_w) - exact(sheet.energy.static_w)
    needed = dynamic_pj(did, sheet) / left
    return -(-needed.numerator // needed.denominator)


def capped(settled: Settled, least: int, free: frozenset[str]) -> Settled:
    """The duration when an event takes ``least`` ps at the board's limit; more is ``throttle``.

    The clock settles where the energy of the event meets the limit, so it is charged to the node
    that the event spends most time on.
    """
    if least <= settled.ps or THROTTLE in free:
        return settled
    node = max(settled.shares, key=lambda share: share[1])[0][0] if settled.shares else 0
    shares = (*settled.shares, ((node, THROTTLE), least - settled.ps))
    return Settled(least, tuple(sorted(shares, key=lambda s: (ORDER[s[0][1]], s[0][0]))))
