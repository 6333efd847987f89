"""The loads of a GPU kernel: what they keep in flight, and what a core's port takes of them."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Generic

from emu.devices.rates import Number, Rates
from emu.ir.regions import room_bytes
from emu.ir.tile import Compute, Gather, Load, TileProgram

ASYNC_BYTES = 4  # the narrowest load that goes to shared memory without a register


@dataclass(frozen=True)
class InFlight(Generic[Number]):
    """What requests in flight sustain, in bytes per ps: those of one tile, and those of a core."""

    tile: Number
    core: Number

    def of(self, tiles: int, cores: int) -> Number:
        """What the requests of so many tiles on each of some cores sustain."""
        return cores * min(tiles * self.tile, self.core)


@lru_cache(maxsize=16384)
def in_flight_bytes(program: TileProgram, lanes: int, tiles: int) -> InFlight[Fraction]:
    """The bytes that one tile, and a core of so many ``lanes`` that holds ``tiles``, asks for.

    A tile has the next stages of its buffers in flight, or one request a lane if that is more.
    Lanes that compute on registers and stage nothing ask for all that one iteration loads before
    they wait. A core queues one request a lane that it has room for (Nsight Compute calls a wait
    for that queue "LG throttle"). A gather asks for its rows only when their index is there, a
    second latency.
    """
    staged = sum(
        (b.depth - 1) * room_bytes(program, b)
        for b in program.buffers
        if program.views[b.value].loaded
    )
    width = program.load_width_bytes
    asked = max(program.threads * width, together_bytes(program))
    in_turn = 2 if any(isinstance(p.statement, Gather) for p in program.statements) else 1
    core = max(lanes * width, tiles * staged)
    return InFlight(Fraction(max(asked, staged), in_turn), Fraction(core, in_turn))


def together_bytes(program: TileProgram) -> int:
    """What lanes ask for in one iteration at most, for registers: a request of each slice."""
    computes = (p.statement for p in program.statements if isinstance(p.statement, Compute))
    if any(statement.kind == "matrix" for statement in computes):
        return 0
    lanes, asked = program.threads * program.load_width_bytes, Counter[tuple[int, ...]]()
    for placed in program.statements:
        if isinstance(placed.statement, Load):
            size = room_bytes(program, program.buffers[placed.statement.buffer])
            asked[placed.loops] += min(lanes, size)
    return max(asked.values(), default=0)


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
