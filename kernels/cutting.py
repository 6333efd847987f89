"""Lay the loops of a tiling over dimensions, and find steps that a group can be cut with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from emu.ir.tile import WHOLE, Axes, Axis, Loop
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling, spread

Found = TypeVar("Found")


@dataclass(frozen=True)
class Cut:
    """Loops over the dimensions of one value: which dimension each cuts, and the value's axes.

    Loops are numbered from ``first``.
    """

    loops: tuple[Loop, ...]
    dims: tuple[int, ...]
    axes: Axes
    first: int = 0

    @property
    def nest(self) -> tuple[int, ...]:
        """Loop numbers, outermost first: parallel ones, then the rest."""
        order = sorted(range(len(self.loops)), key=lambda i: not self.loops[i].parallel)
        return tuple(self.first + i for i in order)


@dataclass(frozen=True)
class _Limits:
    """Dimensions that stay whole, and the number that each step must be a multiple of."""

    whole: frozenset[int]
    granules: tuple[int, ...]

    def narrowed(self, dim: int, granule: int, extent: int) -> "_Limits":
        """Let a dimension have larger steps if that can help, else keep it whole."""
        grown = self.granules[dim] * granule
        if not granule or extent % grown:
            return _Limits(self.whole | {dim}, self.granules)
        granules = (*self.granules[:dim], grown, *self.granules[dim + 1 :])
        return _Limits(self.whole, granules)


def fit(dims: tuple[int, ...], tiling: Tiling, follow: Callable[[Cut], Found]) -> tuple[Cut, Found]:
    """Return the cut of ``dims`` nearest to a tiling that ``follow`` accepts, and what it found.

    Where ``follow`` raises Untileable for a loop, its steps grow or its dimension stays whole;
    raises Untileable if that does not help.
    """
    limits = _Limits(frozenset(), (1,) * len(dims))
    for _ in range(4 * len(dims) + 1):
        made = _cut(dims, tiling, limits)
        try:
            return made, follow(made)
        except Untileable as why:
            if why.loop is None or why.loop >= len(made.loops):
                raise
            dim = made.dims[why.loop]
            limits = limits.narrowed(dim, why.granule, dims[dim])
    raise Untileable(f"no way to cut {dims} was found")


def cut(dims: tuple[int, ...], tiling: Tiling, first: int = 0) -> Cut:
    """Lay the loops of a tiling over ``dims``, without a limit, numbered from ``first``."""
    return _cut(dims, tiling, _Limits(frozenset(), (1,) * len(dims)), first)


def _cut(dims: tuple[int, ...], tiling: Tiling, limits: _Limits, first: int = 0) -> Cut:
    """A dimension that is one tile has no loop; one over several cores may have two."""
    order = tiling.order or tuple(range(len(dims)))
    units = {d: dims[d] // limits.granules[d] for d in order}
    tiles = {d: max(1, tiling.tile[d] // limits.granules[d]) for d in order}
    cut = [d for d in order if d not in limits.whole and tiles[d] < units[d]]
    trips = tuple(-(-units[d] // tiles[d]) for d in cut)
    parts = trips if tiling.cores == 0 else spread(trips, tiling.cores)
    loops: list[Loop] = []
    cut_by: list[int] = []
    axes = [WHOLE] * len(dims)
    for d, n, p in zip(cut, trips, parts, strict=True):
        made = _loops(units[d], tiles[d], -(-n // p), p > 1, first + len(loops))
        loops += made
        cut_by += [d] * len(made)
        granule = limits.granules[d]
        axes[d] = Axis(first + len(loops) - 1, granule, 0, granule)
    return Cut(tuple(loops), tuple(cut_by), tuple(axes), first)


def _loops(extent: int, step: int, rounds: int, spread: bool, number: int) -> list[Loop]:
    """The loop over cores, if there is one, and that over the ``rounds`` of one core."""
    if not spread:
        return [Loop(extent, step)]
    outer = Loop(extent, step * rounds, parallel=True)
    return [outer] if rounds == 1 else [outer, Loop(extent, step, parent=number)]
