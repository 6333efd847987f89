"""How long the waves of a launch take, in whatever numbers: exactly, or roughly and quickly."""

from dataclasses import dataclass
from typing import Generic

from emu.devices.deals import Deal
from emu.devices.loads import InFlight
from emu.devices.rates import Number, Speeds

ROUGHNESS = 1e-12  # far over the relative error of some twenty operations on floats, 2^-53 each


@dataclass(frozen=True)
class WaveTimes(Generic[Number]):
    """What the time of a launch follows from: its tiles, their bytes and operations, and rates.

    Bytes are ``received`` by cores, cross the shared cache (``through``), and are ``fetched`` from
    device memory. ``staged_ps`` is what sets up and drains, ``tile_ps`` what a core computes on a
    full tile, ``stepping_ps`` of it on its reduction, and at least ``alone`` times as much with the
    few warps of one tile. ``in_flight`` is what requests sustain.
    ``sums`` are the bytes of the sums of a part of a tile, which a core adds to others in
    ``adding_ps``, ``cached`` those that the shared cache holds; a kernel starts in ``start_ps``.
    """

    tiles: Number
    occupancy: int
    fetched: int
    through: int
    received: int
    staged_ps: Number
    tile_ps: Number
    stepping_ps: Number
    alone: Number
    in_flight: InFlight[Number]
    steps: int
    sums: int
    adding_ps: Number
    cached: int
    start_ps: Number
    speeds: Speeds[Number]

    def at_least(self, cores: int) -> Number:
        """A bound on the time with ``cores`` or fewer, whatever the waves are.

        Each resource alone: the operations, the memory with all the requests that the cores can
        have in flight, the shared cache, the ports.
        """
        sustained = self.in_flight.of(self.occupancy, cores)
        alone = self.alone * self.tile_ps / self.steps
        computing = max(self.tiles / cores * self.tile_ps, alone)
        slowest = max(self.resources(self.tiles, computing, self.tiles / cores, sustained))
        return slowest + self.speeds.latency_ps + self.staged_ps

    def ps(self, cores: int, dealt: tuple[int, int, int, int], deal: Deal | None) -> Number:
        """All waves of a launch on ``cores``, ``dealt`` as ``Waves.dealt`` says.

        A ``deal`` says how the last wave is parted, if it is.
        """
        wide, waves, last, exposed = dealt
        ps = exposed * self.speeds.latency_ps + self.staged_ps
        ps += self.wave_ps(last, min(cores, last)) if deal is None else self.deal_ps(deal, cores)
        return ps + (waves - 1) * self.wave_ps(wide, cores) if waves > 1 else ps

    def wave_ps(self, tiles: int, cores: int) -> Number:
        """One wave of ``tiles`` on ``cores``."""
        return max(self.in_a_wave(tiles, cores))

    def in_a_wave(self, tiles: int, cores: int) -> tuple[Number, ...]:
        """What each resource takes for one wave of ``tiles`` on ``cores``."""
        per_core = -(-tiles // cores)
        sustained = self.in_flight.of(min(per_core, self.occupancy), cores)
        computing = self.tile_ps * max(per_core, self.alone)
        return self.resources(tiles, computing, per_core, sustained)

    def least_deal_ps(self, tiles: int, cores: int) -> Number:
        """A bound on a wave whose steps are dealt to all cores, in whatever way."""
        sustained = self.in_flight.of(self.occupancy, cores)
        share = tiles * self.one / cores
        moving = max(self.resources(tiles, share * self.tile_ps, share, sustained))
        return moving + self.speeds.latency_ps

    def deal_ps(self, deal: Deal, cores: int) -> Number:
        """A wave whose steps are dealt; what is stored is seen by others one latency later."""
        stepping, joining = max(self.in_a_deal(deal, cores)), max(self.in_joining(deal, cores))
        start_ps = self.start_ps if deal.apart else 0
        return stepping + start_ps + self.speeds.latency_ps + joining

    def in_a_deal(self, deal: Deal, cores: int) -> tuple[Number, ...]:
        """What each resource takes until every worker has its sums."""
        per_core = -(-deal.workers // cores)
        working = self.in_flight.of(min(per_core, self.occupancy), min(cores, deal.workers))
        stepping, beside = self.of_a_core(deal, cores)
        computing = stepping * self.stepping_ps + beside * (self.tile_ps - self.stepping_ps)
        moving = per_core * deal.each * self.one / deal.steps
        return self.resources(deal.tiles, computing, moving, working)

    def of_a_core(self, deal: Deal, cores: int) -> tuple[Number, Number]:
        """For how many full tiles a core goes through reductions, and does what is beside them."""
        each = deal.each * self.one / deal.steps
        many = -(-deal.workers // cores) * each, -(-deal.tiles // cores) * self.one
        few = self.alone * each, self.alone
        beside_ps = self.tile_ps - self.stepping_ps
        return max(many, few, key=lambda n: n[0] * self.stepping_ps + n[1] * beside_ps)

    def in_joining(self, deal: Deal, cores: int) -> tuple[Number, ...]:
        """What each resource takes to store the sums of parts and to add them up.

        They stay in the shared cache if it holds all of them. A second kernel adds on all cores and
        finds nothing in the cache, as any launch.
        """
        alone = -(-deal.tiles // cores) * deal.joined * self.one
        joined = deal.workers * self.one / cores if deal.apart else alone
        size = deal.stored * self.sums
        spilled = 2 * self.spilled(deal) * self.one
        moved = (-(-deal.workers // cores) + joined) * self.sums
        return (
            joined * self.adding_ps,
            spilled / self.speeds.dram,
            2 * size / self.speeds.l2,
            moved / self.speeds.port,
        )

    def spilled(self, deal: Deal) -> int:
        """Bytes of sums that go through device memory and back."""
        size = deal.stored * self.sums
        return size if deal.apart or size > self.cached else 0

    @property
    def one(self) -> Number:
        """A whole tile."""
        return self.tiles / self.tiles

    def resources(
        self, tiles: Number | int, computing: Number, per_core: Number | int, sustained: Number
    ) -> tuple[Number, ...]:
        """What units of cores, memory, shared cache and ports take for ``tiles`` tiles."""
        share = tiles / self.tiles
        return (
            computing,
            self.fetched * share / min(self.speeds.dram, sustained),
            self.through * share / self.speeds.l2,
            self.received * per_core / self.tiles / self.speeds.port,
        )
