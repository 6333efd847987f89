"""Tiles in whole granules, so that no two of them move the same one."""

from dataclasses import replace
from math import lcm

from emu.ir.body import Body
from emu.ir.layout import ROW_MAJOR, padded
from emu.ir.types import TensorType
from emu.kernels.tiling import Tiling


def whole_granules(body: Body, tiling: Tiling) -> Tiling:
    """Return a tiling with steps rounded up to the granules that values of ``body`` are stored in.

    A dimension of a tile takes the granules of values of the output's shape; where a transpose
    turns dimensions, and for rows of attention, the largest granule of all. Steps of a reduction
    take the smallest one.
    """
    granules = _granules(body)
    if not granules:
        return tiling
    out = body.types[body.nodes[-1].out]
    turns = any(node.op == "Transpose" for node in body.nodes)
    if turns or len(tiling.tile) != len(out.shape):
        steps = tuple(1 if tile == 1 else granules[-1] for tile in tiling.tile)
    else:
        steps = _common(out, body)
    tile = tuple(map(padded, tiling.tile, steps))
    return replace(tiling, tile=tile, k=padded(tiling.k, granules[0]))


def reductions(body: Body, tiling: Tiling) -> tuple[Tiling, ...]:
    """Return the tiling with steps of a reduction that reload no granule, then as it is.

    The first needs more room on chip, so it may not fit where the second does.
    """
    granules = _granules(body)
    if not granules:
        return (tiling,)
    wide = replace(tiling, k=padded(tiling.k, granules[-1]))
    return (tiling,) if wide == tiling else (wide, tiling)


def _granules(body: Body) -> list[int]:
    """The granules of all values that are not row-major, each once, the smallest first."""
    stored = (t for t in body.types if t.layout != ROW_MAJOR)
    return sorted({g for t in stored for g in t.granule if g > 1})


def _common(out: TensorType, body: Body) -> tuple[int, ...]:
    """For each dimension of the output, the steps that suit all values of its shape."""
    alike = (t.granule for t in body.types if t.shape == out.shape)
    return tuple(map(lcm, out.granule, *alike))
