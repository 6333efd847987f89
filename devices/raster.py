"""The raster order in which a kernel visits its tiles, for a shared cache of some size.

It follows from the program and the size alone, so all chips with such a cache share it.
"""

from functools import lru_cache
from math import prod

from emu.ir.layout import padded
from emu.ir.machine import Residency
from emu.ir.regions import covered, span, trips
from emu.ir.tile import TileProgram


@lru_cache(maxsize=16384)
def raster(program: TileProgram, capacity_bytes: int) -> Residency:
    """The largest blocks of neighbouring tiles whose loads fit a shared cache.

    Blocks grow by doubling, the loop that grows the loads least first.
    """
    loops = [i for i, loop in enumerate(program.loops) if loop.parallel]
    block = dict.fromkeys(loops, 1)
    if not loops or not capacity_bytes:
        return Residency()
    while True:
        grown = [
            {**block, i: min(2 * block[i], trips(program.loops[i], {}))}
            for i in loops
            if block[i] < trips(program.loops[i], {})
        ]
        fitting = [(held_bytes(program, b), n, b) for n, b in enumerate(grown)]
        fitting = [f for f in fitting if f[0] <= capacity_bytes]
        if not fitting:
            return Residency(block)
        block = min(fitting, key=lambda f: f[:2])[2]


def held_bytes(program: TileProgram, block: dict[int, int]) -> int:
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
