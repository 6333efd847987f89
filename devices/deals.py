"""Reductions of tiles that are dealt to cores which would be idle: split-K and Stream-K.

A worker goes through some of the steps of a reduction and stores its sums. With split-K every tile
has as many workers, and a kernel of its own adds up their sums. With Stream-K all workers take the
same number of steps, one after the other over all tiles, so one may end a tile and begin the next;
who begins a tile adds to its sums those of the others (Osama et al. 2023, "Stream-K: Work-centric
Parallel Decomposition for Dense Matrix-Matrix Multiplication on the GPU"). There the tiles of full
waves stay whole and the last wave is dealt, as in the hybrids of that paper.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from typing import TypeGuard

from emu.ir.regions import largest, trips
from emu.ir.tile import Compute, Statement, TileProgram
from emu.ir.types import TensorType

# Workers for a tile that are tried; of Stream-K for two tiles, about two numbers to the octave.
WORKERS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
FOR_TWO = (3, *(2 * workers for workers in WORKERS))


@dataclass(frozen=True, slots=True)
class Deal:
    """``tiles`` tiles of ``steps`` steps, of which a worker takes ``each``, fewer than all.

    ``apart`` says that no worker goes on to the next tile and that a second kernel adds the sums.
    """

    tiles: int
    steps: int
    each: int
    apart: bool

    @property
    def workers(self) -> int:
        """Who takes steps: all but the last, of a tile or of all, as many."""
        if self.apart:
            return self.tiles * -(-self.steps // self.each)
        return -(-self.tiles * self.steps // self.each)

    @property
    def stored(self) -> int:
        """Parts of tiles whose sums are stored: all, or one for each cut within a tile."""
        if self.apart:
            return self.workers
        steps = self.tiles * self.steps
        return self.workers - 1 - (steps - 1) // lcm(self.each, self.steps)

    @property
    def joined(self) -> int:
        """Parts that the worker who begins a tile adds to its own, at most."""
        even = self.tiles == 1 or self.steps % self.each == 0
        return (self.steps - 1) // self.each if even else -(-(self.steps - 1) // self.each)


def deals(program: TileProgram, tiles: int, workers: int) -> Iterator[Deal]:
    """The deals that are tried for a wave of ``tiles`` on a chip with room for ``workers``.

    They do not depend on the room, which only says which are possible, so that more of it cannot be
    slower.
    """
    steps, apart = steps_of(program), program.split == "split_k"
    twice = (2 * n for n in WORKERS) if apart else FOR_TWO
    ways = dict.fromkeys(-(-2 * steps // n) for n in twice)
    found = (Deal(tiles, steps, each, apart) for each in ways if each < steps)
    return (deal for deal in found if deal.workers <= workers)


@lru_cache(maxsize=16384)
def reduction(program: TileProgram) -> int | None:
    """The loop over the reduction of a program that splits it, None for any other program."""
    if not program.split:
        return None
    return next(p.loops[-1] for p in program.statements if _sums(p.statement))


@lru_cache(maxsize=16384)
def steps_of(program: TileProgram) -> int:
    """Steps of the reduction of a tile that can be dealt, 1 where none can."""
    loop = reduction(program)
    return 1 if loop is None else trips(program.loops[loop], {})


@lru_cache(maxsize=16384)
def sums_of(program: TileProgram) -> TensorType:
    """The sums of one tile of a program that splits its reduction; no elements for another."""
    if steps_of(program) == 1:
        return TensorType("f32", (0,))
    out = next(p.statement.out for p in program.statements if _sums(p.statement))
    buffer = program.buffers[out]
    return TensorType(program.views[buffer.value].type.dtype, largest(program, buffer))


def _sums(statement: Statement) -> TypeGuard[Compute]:
    return isinstance(statement, Compute) and statement.accumulate
