"""How long the waves of a launch take, in whatever numbers: exactly, or roughly and quickly."""

from dataclasses import dataclass
from typing import Generic

from emu.devices.rates import Number, Speeds

ROUGHNESS = 1e-12  # far over the relative error of some twenty operations on floats, 2^-53 each


@dataclass(frozen=True)
class WaveTimes(Generic[Number]):
    """What the time of a launch follows from: its tiles, their bytes and operations, and rates.

    Bytes are ``received`` by cores, cross the shared cache (``through``), and are ``fetched`` from
    device memory. ``staged_ps`` is what sets up and drains, ``tile_ps`` what a core computes on a
    full tile, and at least ``alone_ps`` with the few warps of one tile. ``in_flight`` are the bytes
    per ps that the requests of one tile sustain.
    """

    tiles: Number
    occupancy: int
    fetched: int
    through: int
    received: int
    staged_ps: Number
    tile_ps: Number
    alone_ps: Number
    in_flight: Number
    speeds: Speeds[Number]

    def at_least(self, cores: int) -> Number:
        """A bound on the time with ``cores`` or fewer, whatever the waves are.

        Each resource alone: the operations, the memory with all the requests that the cores can
        have in flight, the shared cache, the ports.
        """
        sustained = cores * self.occupancy * self.in_flight
        slowest = max(self.alone(self.tiles, self.tiles / cores, sustained))
        return slowest + self.speeds.latency_ps + self.staged_ps

    def ps(self, cores: int, dealt: tuple[int, int, int, int]) -> Number:
        """All waves of a launch on ``cores``, ``dealt`` as ``Waves.dealt`` says."""
        wide, waves, last, exposed = dealt
        ps = exposed * self.speeds.latency_ps + self.wave_ps(last, min(cores, last))
        ps += self.staged_ps
        return ps + (waves - 1) * self.wave_ps(wide, cores) if waves > 1 else ps

    def wave_ps(self, tiles: int, cores: int) -> Number:
        """One wave of ``tiles`` on ``cores``."""
        return max(self.in_a_wave(tiles, cores))

    def in_a_wave(self, tiles: int, cores: int) -> tuple[Number, ...]:
        """What each resource takes for one wave of ``tiles`` on ``cores``."""
        per_core = -(-tiles // cores)
        sustained = cores * min(per_core, self.occupancy) * self.in_flight
        return self.alone(tiles, per_core, sustained)

    def alone(
        self, tiles: Number | int, per_core: Number | int, sustained: Number
    ) -> tuple[Number, ...]:
        """What units of cores, memory, shared cache and ports take for ``tiles`` tiles."""
        share = tiles / self.tiles
        return (
            max(per_core * self.tile_ps, self.alone_ps),
            self.fetched * share / min(self.speeds.dram, sustained),
            self.through * share / self.speeds.l2,
            self.received * per_core / self.tiles / self.speeds.port,
        )
