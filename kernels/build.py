"""Build the tile program of a group from a tiling: every value is cut as its readers need it."""

from functools import lru_cache

from emu.ir.body import Body
from emu.ir.tile import TileProgram
from emu.kernels.builder import Builder
from emu.kernels.cutting import fit
from emu.kernels.slicing import slices
from emu.kernels.tiling import Tiling


@lru_cache(maxsize=16384)
def build(body: Body, tiling: Tiling, name: str) -> TileProgram:
    """Return the tile program of ``body``; raises Untileable if the group cannot be cut at all.

    Dimensions that some node needs whole stay whole, and steps grow to what reshapes allow.
    """
    dims = body.types[body.nodes[-1].out].dims
    cut, found = fit(dims, tiling, lambda cut: slices(body, cut.axes))
    builder = Builder(body, tiling, cut, found)
    for number in range(len(body.nodes)):
        builder.node(number)
    return builder.program(name)
