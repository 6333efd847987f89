"""The raster order in which a kernel visits its tiles, for a shared cache of some size.

It follows from the program and the size alone, so all chips with such a cache share it.
"""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import TypeAlias

from emu.ir.layout import padded
from emu.ir.machine import Residency
from emu.ir.regions import covered, span, trips
from emu.ir.tile import TileProgram

Block: TypeAlias = dict[int, int]  # tiles by parallel loop


@lru_cache(maxsize=16384)
def raster(program: TileProgram, capacity_bytes: int, at_once: int) -> Residency:
    """The largest blocks of neighbouring tiles that find each other's loads in a shared cache.

    A block does if all its loads fit the cache, or if its tiles are among the ``at_once`` that run
    side by side: these go through their loops in step, so that only what their steps load has to
    fit. Blocks grow by doubling, the loop that grows the loads least first.
    """
    if not capacity_bytes:
        return Residency()

    def shares(block: Block, size: int) -> bool:
        if size <= capacity_bytes:
            return True
        return prod(block.values()) <= at_once and step_bytes(program, block) <= capacity_bytes

    return _largest(program, shares)


@lru_cache(maxsize=16384)
def cluster(program: TileProgram, tiles: int) -> Residency:
    """The block of at most ``tiles`` neighbours that load the fewest bytes together.

    They run on cores that receive a load of one of them side by side (multicast), so what they
    share crosses the shared cache once.
    """
    return _largest(program, lambda block, _: prod(block.values()) <= tiles)


def _largest(program: TileProgram, shares: Callable[[Block, int], bool]) -> Residency:
    """Grow a block while its tiles share, which is asked with the bytes that it loads."""
    loops = [i for i, loop in enumerate(program.loops) if loop.parallel]
    block = dict.fromkeys(loops, 1)
    while True:
        grown = [
            {**block, i: min(2 * block[i], trips(program.loops[i], {}))}
            for i in loops
            if block[i] < trips(program.loops[i], {})
        ]
        sized = [(held_bytes(program, b), n, b) for n, b in enumerate(grown)]
        fitting = [f for f in sized if shares(f[2], f[0])]
        if not fitting:
            return Residency(block) if loops else Residency()
        block = min(fitting, key=lambda f: f[:2])[2]


def step_bytes(program: TileProgram, block: Block) -> int:
    """Bytes that a block of tiles loads in one step of their loops, in all versions of buffers."""
    inner = {i: 1 for i, loop in enumerate(program.loops) if not loop.parallel}
    return max(b.depth for b in program.buffers) * held_bytes(program, {**block, **inner})


def held_bytes(program: TileProgram, block: Block) -> int:
    """Bytes of all inputs that one block of tiles loads."""
    size = 0
    for buffer in program.buffers:
        view = program.views[buffer.value]
        if not view.loaded:
            continue
        type, lengths = view.type, list[int]()
        for axis, extent, granule in zip(buffer.axes, type.dims, type.granule, strict=True):
            loop = None if axis.of is None else program.loops[axis.of]
            if axis.of is None or loop is None:
                lengths.append(padded(extent, granule))
                continue
            wide = min(loop.step * block.get(axis.of, loop.extent), loop.extent)
            lengths.append(covered(span(axis, {axis.of: (0, wide)}, extent), granule))
        size += type.itemsize * prod(lengths)
    return size
