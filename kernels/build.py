"""Build the tile program of a group from a tiling: every value is cut as its readers need it."""

from dataclasses import replace
from functools import lru_cache

from emu.ir.body import Body
from emu.ir.tile import Axes, TileProgram
from emu.kernels.builder import Builder
from emu.kernels.cutting import Cut, fit
from emu.kernels.slicing import Slices, slices
from emu.kernels.tiling import Tiling


@lru_cache(maxsize=16384)
def build(body: Body, tiling: Tiling, name: str) -> TileProgram:
    """Return the tile program of ``body``; raises Untileable if the group cannot be cut at all.

    Dimensions that some node needs whole stay whole, and steps grow to what reshapes allow.
    """
    dims = body.types[body.nodes[-1].out].dims
    cut, _ = fit(dims, tiling, lambda cut: _sliced(body, cut.axes))
    # On many counts of cores the loops are the same; once cut, tile and order are said, and of the
    # cores only whether every tile is parallel.
    said = replace(tiling, tile=(), order=(), cores=min(tiling.cores, 1))
    # Libraries write the same under names of their own: what they share is found equal at once.
    return _named(_written(body, said, cut), name)


@lru_cache(maxsize=16384)
def _named(program: TileProgram, name: str) -> TileProgram:
    """A program under a name: equal ones are one object, which is found in tables at once.

    What is equal but for its name has the same parts, so that comparing looks into none of them.
    """
    return replace(program, name=name)


@lru_cache(maxsize=16384)
def _sliced(body: Body, axes: Axes) -> Slices:
    return slices(body, axes)


@lru_cache(maxsize=16384)
def _written(body: Body, tiling: Tiling, cut: Cut) -> TileProgram:
    builder = Builder(body, tiling, cut, _sliced(body, cut.axes))
    for number in range(len(body.nodes)):
        builder.node(number)
    return _named(builder.program(""), "")
