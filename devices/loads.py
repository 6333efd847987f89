"""The loads of a GPU kernel: what they keep in flight, and what a core's port takes of them."""

from fractions import Fraction
from functools import lru_cache

from emu.devices.rates import Rates
from emu.ir.regions import room_bytes
from emu.ir.tile import Gather, TileProgram

ASYNC_BYTES = 4  # the narrowest load that goes to shared memory without a register


@lru_cache(maxsize=16384)
def in_flight_bytes(program: TileProgram) -> Fraction:
    """The bytes that the requests of one tile ask for at once: see ``Waves.in_flight``."""
    staged = sum(
        (b.depth - 1) * room_bytes(program, b)
        for b in program.buffers
        if program.views[b.value].loaded
    )
    lanes = program.threads * program.load_width_bytes
    in_turn = 2 if any(isinstance(p.statement, Gather) for p in program.statements) else 1
    return Fraction(max(lanes, staged), in_turn)


def port_rate(program: TileProgram, rates: Rates, multiplies: bool) -> Fraction:
    """Bytes of loads as wide as the program's that one core takes, per picosecond.

    A core starts the loads of one warp a cycle (32 LD/ST units of 32 lanes, A100 whitepaper).
    Factors of a product go on to shared memory, which a load of 4 bytes or more does by itself
    (PTX ISA, cp.async) and a narrower one with a second instruction.
    """
    limits, width = rates.sheet.limits, program.load_width_bytes
    lanes = limits.threads_per_warp if limits is not None else 1
    instructions = 2 if multiplies and width < ASYNC_BYTES else 1
    return min(rates.port, lanes * width * rates.clock / instructions)
