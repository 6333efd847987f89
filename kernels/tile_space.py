"""The space of tilings that tuning may try: every step from one tiling to a neighbour of it."""

from dataclasses import dataclass, replace
from random import Random

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.kernels.menus import anchors
from emu.kernels.tiling import Tiling

LANES = 32  # threads come in warps of as many lanes
MOST_VERSIONS = 3  # of a streamed buffer: one is read, one is on its way, one is to be stored


@dataclass(frozen=True)
class TileSpace:
    """All tilings of one body on one machine.

    ``extents`` are those of the dimensions that a tile cuts, ``reduction`` that of the longest
    reduction of a product (0: there is none).
    """

    extents: tuple[int, ...]
    reduction: int
    machine: Machine

    def holds(self, tiling: Tiling) -> bool:
        """Whether a tiling, wherever it comes from, has the form of one of this space."""
        rank = len(self.extents)
        grid = self.machine.grid
        return (
            len(tiling.tile) == rank
            and all(1 <= step for step in tiling.tile)
            and 0 <= tiling.k
            and (not tiling.order or sorted(tiling.order) == list(range(rank)))
            and 1 <= tiling.depth <= MOST_VERSIONS
            and (tiling.cores == 0 if grid else 1 <= tiling.cores <= self.machine.cores)
            and LANES <= tiling.threads <= self.machine.max_threads
        )

    def neighbour(self, tiling: Tiling, random: Random) -> Tiling:
        """A tiling that is one or two steps away from ``tiling``."""
        for _ in range(1 + pick(random, 2)):
            tiling = self.step(tiling, random)
        return tiling

    def step(self, tiling: Tiling, random: Random) -> Tiling:
        """Change one thing: mostly the size of a tile, else order, versions, threads or cores."""
        cut = [d for d, extent in enumerate(self.extents) if extent > 1]
        sizes = len(cut) + (self.reduction > 1)
        chosen = pick(random, 2 * sizes + 3)
        if chosen < 2 * len(cut):
            return self.resized(tiling, cut[chosen // 2], random)
        if chosen < 2 * sizes:
            k = _resized(tiling.k or self.reduction, self.reduction, random)
            return replace(tiling, k=0 if k >= self.reduction else k)
        if chosen == 2 * sizes:
            return self.reordered(tiling, random)
        if chosen == 2 * sizes + 1:
            return replace(tiling, depth=1 + pick(random, MOST_VERSIONS))
        return self.rethreaded(tiling, random)

    def resized(self, tiling: Tiling, dim: int, random: Random) -> Tiling:
        """Another step along one dimension."""
        step = _resized(tiling.tile[dim], self.extents[dim], random)
        return replace(tiling, tile=(*tiling.tile[:dim], step, *tiling.tile[dim + 1 :]))

    def reordered(self, tiling: Tiling, random: Random) -> Tiling:
        """Two loops change places."""
        order = list(tiling.order or range(len(self.extents)))
        if len(order) > 1:
            a, b = pick(random, len(order)), pick(random, len(order))
            order[a], order[b] = order[b], order[a]
        return replace(tiling, order=tuple(order))

    def rethreaded(self, tiling: Tiling, random: Random) -> Tiling:
        """Other threads on a grid; elsewhere tiles spread over other cores."""
        if not self.machine.grid:
            return replace(tiling, cores=1 + pick(random, self.machine.cores))
        return replace(tiling, threads=LANES << pick(random, _doublings(self.machine.max_threads)))


def tile_space(body: Body, machine: Machine, tiling: Tiling) -> TileSpace:
    """Return the space that a ``tiling`` of the menu is one point of."""
    dims = body.types[body.nodes[-1].out].dims
    rank = len(tiling.tile)
    whole = max(max(t.dims, default=1) for t in body.types)
    extents = dims if rank == len(dims) else (whole,) * rank
    reductions = [max(body.types[body.nodes[i].ins[1]].dims, default=1) for i in anchors(body)]
    return TileSpace(extents, max(reductions, default=0), machine)


def _resized(step: int, extent: int, random: Random) -> int:
    """Half, twice, one trip more or fewer, or any power of two."""
    step = min(step, extent)
    trips = -(-extent // step)
    ways = (
        max(1, step // 2),
        min(extent, 2 * step),
        -(-extent // (trips + 1)),
        -(-extent // max(1, trips - 1)),
        min(extent, 1 << pick(random, extent.bit_length() + 1)),
    )
    return ways[pick(random, len(ways))]


def _doublings(most: int) -> int:
    return max(1, (most // LANES).bit_length())


def pick(random: Random, count: int) -> int:
    """A number below ``count``; only ``random()`` is the same in every version of Python."""
    return int(random.random() * count)
