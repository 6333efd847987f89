"""The wave model of a GPU: tiles run in waves, and in each wave the slowest resource counts.

A wave is as many tiles as cores hold at once. In it, cores compute, tiles load and store through
the shared cache, and the cache fetches what it does not hold; only bytes that are new in a block of
tiles that fits the cache come from device memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import ceil

from emu.devices.datasheet import Datasheet
from emu.devices.deals import Deal, deals, steps_of, sums_of
from emu.devices.loads import InFlight, in_flight_bytes
from emu.devices.occupancy import occupancy
from emu.devices.rates import Number, Rates, Speeds
from emu.devices.terms import Phase, Term, fixed_ps, positive
from emu.devices.tile_cost import NO_SHARES, Shares, TileCost
from emu.devices.wave_bytes import WaveBytes
from emu.devices.wave_times import ROUGHNESS, WaveTimes
from emu.devices.wave_units import WaveUnits
from emu.ir.machine import Residency
from emu.ir.tile import TileProgram
from emu.ir.types import TensorType

# What works beside the units of the cores in a wave, in the order of its alternatives.
IN_A_WAVE = ("device memory", "shared cache", "core ports")


@dataclass(frozen=True)
class Waves:
    """One tile program on the cores of one chip."""

    program: TileProgram
    sheet: Datasheet
    rates: Rates
    residency: Residency
    known: dict[int, Deal | None] = field(default_factory=dict[int, Deal | None], compare=False)

    @cached_property
    def tiles(self) -> int:
        """Tiles in all: the iterations of all parallel loops."""
        return self.cost.active

    @cached_property
    def bytes(self) -> WaveBytes:
        """What crosses each border."""
        return WaveBytes(self.program, self.rates, self.residency, self.tiles)

    @cached_property
    def cost(self) -> TileCost:
        """Knows the true work of statements."""
        return TileCost(self.program, self.rates, NO_SHARES)

    @cached_property
    def units(self) -> WaveUnits:
        """What the units of the cores compute."""
        return WaveUnits(self.program, self.rates, self.bytes.counts, self.cost)

    @cached_property
    def occupancy(self) -> int:
        """Tiles that one core holds at once, by on-chip memory and threads."""
        return occupancy(self.program, self.sheet)

    @cached_property
    def alone(self) -> Fraction:
        """What one tile takes of a core's time for a full one, at least.

        A warp runs in the share of the units that belongs to its scheduler, so a tile of few warps
        leaves the others to tiles beside it.
        """
        limits = self.sheet.limits
        if limits is None:
            return Fraction(1)
        warps = -(-self.program.threads // limits.threads_per_warp)
        return max(Fraction(1), Fraction(limits.schedulers_per_core, warps))

    def best(self) -> tuple[int, int]:
        """The duration of the launch in ps, and how many cores are used for it.

        A launch may leave cores idle: every smaller count that changes the number of waves is a
        candidate, up to the first that could not be faster even if nothing else took time.
        """
        found: tuple[int, int] | None = None
        for cores in self.candidates():
            if found is not None and self.at_least(cores) >= found[0]:
                break
            if found is None or _below(self.roughly_ps(cores)) < found[0]:
                timed = self.ps(cores), cores
                found = timed if found is None or timed[0] < found[0] else found
        assert found is not None
        return found

    def candidates(self) -> Iterator[int]:
        """Counts of cores, most first, at which the busiest core has different numbers of tiles.

        Tiles are dealt out one to each core before any core gets a second one. All cores can share
        those of the last wave if it deals their steps.
        """
        cores = min(self.rates.cores, self.tiles)
        deal = self.deal(self.rates.cores)
        if deal is not None:
            yield min(self.rates.cores, max(deal.workers, self.tiles))
        while cores:
            rounds = -(-self.tiles // cores)
            cores = -(-self.tiles // rounds)
            yield cores
            cores -= 1

    def at_least(self, cores: int) -> int:
        """A bound on the time with ``cores`` or fewer; it only decides what need not be timed."""
        return _below(self.rough.at_least(cores))

    def ps(self, cores: int) -> int:
        """The duration of ``phases``, from what their terms sum to."""
        ps = self.exact.ps(cores, self.dealt(cores), self.deal(cores))
        return -(-ps.numerator // ps.denominator)

    def roughly_ps(self, cores: int) -> float:
        """The same, nearly."""
        return self.rough.ps(cores, self.dealt(cores), self.deal(cores))

    def deal(self, cores: int) -> Deal | None:
        """How the last wave is dealt to more workers than it has tiles, None if no way is faster.

        Worked out roughly, so one that is as fast as whole tiles may be taken for faster.
        """
        if not self.program.split:
            return None
        if cores not in self.known:
            self.known[cores] = self.fastest_deal(self.dealt(cores)[2], cores)
        return self.known[cores]

    def fastest_deal(self, tiles: int, cores: int) -> Deal | None:
        """The fastest way to deal a wave of ``tiles`` on ``cores``, None if whole ones are."""
        program = self.program
        if steps_of(program) == 1 or (program.split == "split_k" and tiles < self.tiles):
            return None
        rough = self.rough
        best, found = rough.wave_ps(tiles, min(cores, tiles)), None
        if rough.least_deal_ps(tiles, cores) >= best:
            return None
        for deal in deals(program, tiles, cores * self.occupancy):
            ps = rough.deal_ps(deal, cores)
            if ps < best:
                best, found = ps, deal
        return found

    @cached_property
    def exact(self) -> WaveTimes[Fraction]:
        """The times of waves."""
        return self.times(Fraction, self.rates.exactly)

    @cached_property
    def rough(self) -> WaveTimes[float]:
        """The times of waves, nearly."""
        return self.times(float, self.rates.roughly)

    def times(self, number: type[Number], speeds: Speeds[Number]) -> WaveTimes[Number]:
        """The times of waves, worked out in such numbers."""
        fetched, through, received = self.bytes.sizes
        full = self.units.full_tile
        speeds = replace(speeds, port=number(self.bytes.port))
        asked = self.asked
        return WaveTimes(
            tiles=number(self.tiles),
            occupancy=self.occupancy,
            fetched=fetched,
            through=through,
            received=received,
            staged_ps=number(self.staged.ps),
            tile_ps=number(full.cycles) / speeds.clock,
            stepping_ps=number(full.stepping) / speeds.clock,
            alone=number(self.alone),
            in_flight=InFlight(
                number(asked.tile) / speeds.latency_ps, number(asked.core) / speeds.latency_ps
            ),
            steps=steps_of(self.program),
            sums=self.sums.bytes,
            adding_ps=number(self.adding_ps),
            cached=self.rates.l2_bytes,
            start_ps=number(self.starting.ps),
            speeds=speeds,
        )

    @cached_property
    def sums(self) -> TensorType:
        """The sums that a worker stores of a part of a tile, none if tiles stay whole."""
        return sums_of(self.program)

    @cached_property
    def adding_ps(self) -> Fraction:
        """What a core takes to add the sums of one part to those of another."""
        sums = self.sums
        return 2 * sums.elements / self.rates.vector(sums.dtype) if sums.elements else Fraction()

    @cached_property
    def starting(self) -> Term:
        """The start of a second kernel, which adds up sums."""
        return fixed_ps("launch", self.sheet.launch.start_us)

    @cached_property
    def staged(self) -> Term:
        """Setting up and draining what stages the operands of products; nothing without one."""
        staging, first = self.rates.staging, self.bytes.product
        if first is None:
            return replace(staging, amount=Fraction())
        return replace(staging, node=first.node)

    def dealt(self, cores: int) -> tuple[int, int, int, int]:
        """Tiles in a full wave, waves, tiles in the last one, and exposed latencies.

        A core that holds a second tile hides the latency of loading it.
        """
        wide = cores * self.occupancy
        waves = -(-self.tiles // wide)
        return wide, waves, self.tiles - (waves - 1) * wide, waves if self.occupancy == 1 else 1

    def phases(
        self, cores: int, shares: Shares = NO_SHARES, every: bool = True
    ) -> tuple[Phase, ...]:
        """Full waves, then the last one; with ``every`` resource, or only the slowest of a wave.

        ``shares`` say what first moves are charged to, and make no difference to how long they are.
        """
        wide, waves, last, exposed = self.dealt(cores)
        full = (self.wave(wide, cores, waves - 1, shares, every),) if waves > 1 else ()
        staged = (Phase(((self.staged,),)),) if self.staged.amount else ()
        deal = self.deal(cores)
        return (
            *staged,
            Phase(((self.rates.dram_latency,),), exposed),
            *full,
            *(
                (self.wave(last, min(cores, last), 1, shares, every),)
                if deal is None
                else self.dealt_wave(deal, cores, shares, every)
            ),
        )

    def wave(self, tiles: int, cores: int, times: int, shares: Shares, every: bool) -> Phase:
        """One wave of ``tiles`` on ``cores``: compute, memory, shared cache, or core ports."""
        per_core = Fraction(-(-tiles // cores))
        computing = max(per_core, self.alone)
        resources = (
            lambda: self.units.computed(tiles, computing, computing),
            lambda: self.bytes.fetched(tiles, shares, self.in_flight(tiles, cores)),
            lambda: self.bytes.through(tiles, shares),
            lambda: self.bytes.received(per_core, shares),
        )
        return _phase(resources, None if every else self.exact.in_a_wave(tiles, cores), times)

    def dealt_wave(
        self, deal: Deal, cores: int, shares: Shares, every: bool
    ) -> tuple[Phase, Phase, Phase]:
        """A wave whose steps are dealt: workers go through theirs, then sums are added up."""
        tiles, exact = deal.tiles, self.exact
        stepping, beside = exact.of_a_core(deal, cores)
        per_core = Fraction(-(-deal.workers // cores) * deal.each, deal.steps)
        steps = (
            lambda: self.units.computed(tiles, stepping, beside),
            lambda: self.bytes.fetched(tiles, shares, self.in_flight(deal.workers, cores)),
            lambda: self.bytes.through(tiles, shares),
            lambda: self.bytes.received(per_core, shares),
        )
        took = exact.in_joining(deal, cores)
        joined = self.joined(took)
        return (
            _phase(steps, None if every else exact.in_a_deal(deal, cores)),
            Phase(((*((self.starting,) if deal.apart else ()), self.rates.dram_latency),)),
            Phase(joined if every else (joined[took.index(max(took))],)),
        )

    def joined(self, took: Sequence[Fraction]) -> tuple[tuple[Term, ...], ...]:
        """What each resource does with the sums of parts: adding, and moving them once more."""
        assert self.bytes.product is not None
        rates = (Fraction(1), self.rates.dram, self.rates.l2, self.bytes.port)
        causes = ("fill_drain", "reload", "reload", "reload")
        return tuple(
            positive((Term(cause, ps * rate, rate, self.bytes.product.node),))
            for cause, ps, rate in zip(causes, took, rates, strict=True)
        )

    def in_flight(self, tiles: int, cores: int) -> Fraction:
        """Bytes per ps that requests in flight sustain, by Little's law: bytes over latency."""
        per_core = min(-(-tiles // cores), self.occupancy)
        return self.exact.in_flight.of(per_core, min(cores, tiles))

    @cached_property
    def asked(self) -> InFlight[Fraction]:
        """Bytes that tiles, or parts of them, and cores ask for at once."""
        limits = self.sheet.limits
        lanes = 0 if limits is None else limits.max_threads_per_core
        return in_flight_bytes(self.program, lanes, self.occupancy)


def _phase(
    resources: Sequence[Callable[[], tuple[Term, ...]]],
    took: tuple[Fraction, ...] | None,
    times: int = 1,
) -> Phase:
    """What resources do side by side: each of them, or the slowest by what they ``took``."""
    if took is not None:
        resources = (resources[took.index(max(took))],)
    return Phase(tuple(positive(terms()) for terms in resources), times)


def _below(ps: float) -> int:
    """Whole picoseconds: surely not more than the exact figure that ``ps`` is near, rounded up."""
    return ceil(ps * (1 - ROUGHNESS))
