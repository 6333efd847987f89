"""The wave model of a GPU: tiles run in waves, and in each wave the slowest resource counts.

A wave is as many tiles as cores hold at once. In it, cores compute, tiles load and store through
the shared cache, and the cache fetches what it does not hold; only bytes that are new in a block of
tiles that fits the cache come from device memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil

from emu.devices.datasheet import Datasheet, Unit
from emu.devices.full_tile import FullCompute, full_tile
from emu.devices.loads import in_flight_bytes, port_rate
from emu.devices.occupancy import occupancy
from emu.devices.raster import cluster
from emu.devices.rates import Number, Rates, Speeds
from emu.devices.terms import Phase, Term, positive
from emu.devices.tile_cost import NO_SHARES, Shares, TileCost, computed_in, moved_elements
from emu.devices.wave_times import ROUGHNESS, WaveTimes
from emu.ir.count import Counts, count
from emu.ir.layout import padded
from emu.ir.machine import Residency
from emu.ir.tile import Compute, Gather, Load, Placed, Statement, Store, TileProgram
from emu.ir.types import NARROW, TensorType
from emu.ir.work import gemm_shape, shapes

# What works beside the units of the cores in a wave, in the order of its alternatives.
IN_A_WAVE = ("device memory", "shared cache", "core ports")


@dataclass(frozen=True)
class Waves:
    """One tile program on the cores of one chip."""

    program: TileProgram
    sheet: Datasheet
    rates: Rates
    residency: Residency

    @cached_property
    def tiles(self) -> int:
        """Tiles in all: the iterations of all parallel loops."""
        return self.cost.active

    @cached_property
    def counts(self) -> Counts:
        """What all tiles move and compute."""
        return count(self.program, tuple(self.residency.block.items()))

    @cached_property
    def multicast(self) -> Counts:
        """What all tiles move, where ``fetched`` is what crosses the shared cache.

        The tiles of a cluster receive what one of them loads.
        """
        limits = self.sheet.limits
        together = 1 if limits is None else limits.cluster_tiles or 1
        return count(self.program, tuple(cluster(self.program, together).block.items()))

    @cached_property
    def cost(self) -> TileCost:
        """Knows the true work of statements."""
        return TileCost(self.program, self.rates, NO_SHARES)

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
            if found is None or _below(self.rough.ps(cores, self.dealt(cores))) < found[0]:
                timed = self.ps(cores), cores
                found = timed if found is None or timed[0] < found[0] else found
        assert found is not None
        return found

    def candidates(self) -> Iterator[int]:
        """Counts of cores, most first, at which the busiest core has different numbers of tiles.

        Tiles are dealt out one to each core before any core gets a second one.
        """
        cores = min(self.rates.cores, self.tiles)
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
        ps = self.exact.ps(cores, self.dealt(cores))
        return -(-ps.numerator // ps.denominator)

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
        fetched, through, received = self.sizes
        tile_ps = number(self.full_tile.cycles) / speeds.clock
        speeds = replace(speeds, port=number(self.port))
        return WaveTimes(
            number(self.tiles),
            self.occupancy,
            fetched,
            through,
            received,
            number(self.staged.ps),
            tile_ps,
            tile_ps * number(self.alone),
            number(in_flight_bytes(self.program)) / speeds.latency_ps,
            speeds,
        )

    @cached_property
    def staged(self) -> Term:
        """Setting up and draining what stages the operands of products; nothing without one."""
        staging, first = self.rates.staging, self.product
        if first is None:
            return replace(staging, amount=Fraction())
        return replace(staging, node=first.node)

    @cached_property
    def product(self) -> Compute | None:
        """The first product of the program."""
        computes = (placed.statement for placed in self.program.statements)
        products = (s for s in computes if isinstance(s, Compute) and s.kind == "matrix")
        return next(products, None)

    @cached_property
    def sizes(self) -> tuple[int, int, int]:
        """Bytes that cross the border of device memory, of the shared cache, and of cores."""
        counts = self.counts
        return counts.fetched_bytes, self.multicast.fetched_bytes, counts.moved_bytes

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
        return (
            *staged,
            Phase(((self.rates.dram_latency,),), exposed),
            *full,
            self.wave(last, min(cores, last), 1, shares, every),
        )

    def wave(self, tiles: int, cores: int, times: int, shares: Shares, every: bool) -> Phase:
        """One wave of ``tiles`` on ``cores``: compute, memory, shared cache, or core ports."""
        per_core = Fraction(-(-tiles // cores))
        resources = (
            lambda: self.computed(tiles, max(per_core, self.alone)),
            lambda: self.fetched(tiles, shares, self.in_flight(tiles, cores)),
            lambda: self.through(tiles, shares),
            lambda: self.received(per_core, shares),
        )
        if not every:
            alone = self.exact.in_a_wave(tiles, cores)
            resources = (resources[alone.index(max(alone))],)
        return Phase(tuple(positive(terms()) for terms in resources), times)

    def in_flight(self, tiles: int, cores: int) -> Fraction:
        """Bytes per ps that requests in flight sustain: bytes in flight / latency (Little's law).

        A tile has one request per lane in flight, or all next stages of its buffers if more. A
        gather asks for its rows only when their index is there, a second latency.
        """
        per_core = min(-(-tiles // cores), self.occupancy)
        return cores * per_core * self.tile_in_flight

    @cached_property
    def tile_in_flight(self) -> Fraction:
        """Bytes per ps that the requests of one tile sustain."""
        return in_flight_bytes(self.program) / self.rates.latency_ps

    def fetched(self, tiles: int, shares: Shares, sustained: Fraction) -> tuple[Term, ...]:
        """Bytes between cache and device memory that belong to a number of tiles."""
        share = Fraction(tiles, self.tiles)
        terms = self.moved(self.counts.fetched, shares, share, self.rates.dram)
        if sustained < self.rates.dram:
            moved = sum((t.amount for t in terms), Fraction())
            lost = moved / sustained - moved / self.rates.dram
            terms = (*terms, Term("wait", lost, Fraction(1)))
        return terms

    def through(self, tiles: int, shares: Shares) -> tuple[Term, ...]:
        """Bytes that clusters load and tiles store; what others load as well is reload."""
        share = Fraction(tiles, self.tiles)
        return self.moved(self.multicast.fetched, shares, share, self.rates.l2)

    def received(self, tiles: Fraction, shares: Shares) -> tuple[Term, ...]:
        """Bytes that tiles load and store; what other tiles load as well counts as reload."""
        return self.moved(self.counts.loaded, shares, tiles / self.tiles, self.port)

    @cached_property
    def port(self) -> Fraction:
        """Bytes of the program's loads that one core takes, per picosecond."""
        return port_rate(self.program, self.rates, self.product is not None)

    def moved(
        self, read: Mapping[int, int], shares: Shares, share: Fraction, rate: Fraction
    ) -> tuple[Term, ...]:
        """A share of the bytes that are read and stored, first moves and repeated ones apart."""
        terms: list[Term] = []
        for view, size in read.items():
            node, once = self.touching["load", view], self.counts.unique[view]
            terms += apart(size, once, Term(shares.cause(view), share, rate, node))
        for view, size in self.counts.stored.items():
            node, once = self.touching["store", view], self.program.views[view].type.bytes
            terms += apart(size, once, Term(shares.cause(view), share, rate, node))
        return tuple(terms)

    @cached_property
    def touching(self) -> dict[tuple[str, int], int]:
        """The node that is charged for loading or storing each view."""
        found: dict[tuple[str, int], int] = {}
        for placed in self.program.statements:
            match placed.statement:
                case Load(buffer, node):
                    found.setdefault(("load", self.program.buffers[buffer].value), node)
                case Gather(table, _, _, node):
                    found.setdefault(("load", table), node)
                case Store(_, view, node):
                    found.setdefault(("store", view), node)
                case _:
                    pass
        return found

    def computed(self, tiles: int, per_core: Fraction) -> tuple[Term, ...]:
        """Operations of ``tiles`` tiles; every core takes its time for ``per_core`` full ones."""
        terms: list[Term] = []
        for number, (placed, full) in enumerate(self.full_tile.slots):
            if isinstance(placed.statement, Compute):
                terms += self.operations(number, placed.statement, full, tiles, per_core)
        return tuple(terms)

    def operations(
        self, number: int, statement: Compute, full: Fraction, tiles: int, per_core: Fraction
    ) -> tuple[Term, ...]:
        """Terms of one statement. Units do multiply-adds, other operations use half a slot."""
        node, products = statement.node, statement.kind == "matrix"
        chip = self.rate(statement) * self.rates.cores
        peak = max(chip, self.peak(statement)) if products else chip
        simple = self.rates.simple(self.counts.computed[number][0]) * tiles / self.tiles
        again = self.cost.again(number)
        slots = simple if products else 2 * simple
        whole = self.cost.type(statement.out)
        placed = 2 * moved_elements(statement, whole) * Fraction(tiles, self.tiles)
        moved = max(placed - slots, Fraction())
        padded = full * tiles
        return (
            Term("useful", simple * (1 - again), peak, node),
            Term("recompute", simple * again, peak, node),
            Term("slower_path", slots - simple * chip / peak, chip, node),
            Term("layout", moved, chip, node),
            Term("padding", padded - slots - moved, chip, node),
            Term("idle", full * per_core * self.rates.cores - padded, chip, node),
        )

    @cached_property
    def full_tile(self) -> "FullTile":
        """What one full tile takes of the units; chips with equal ones work it out once."""
        known = full_tiles(self.sheet.compute.units)
        if self.program not in known:
            full = zip(self.program.statements, full_tile(self.program), strict=True)
            slots = tuple((placed, self.slots(placed.statement, each)) for placed, each in full)
            timed = ((p.statement, n) for p, n in slots)
            cycles = (n / self.rate(s) for s, n in timed if isinstance(s, Compute))
            known[self.program] = FullTile(slots, sum(cycles, Fraction()) * self.rates.clock)
        return known[self.program]

    def slots(self, statement: Statement, full: FullCompute | None) -> Fraction:
        """Lane slots of the executions of a statement in one full tile; moving takes them too."""
        if full is None or not isinstance(statement, Compute):
            return Fraction()
        simple = self.rates.simple(full.work)
        if statement.kind == "matrix":
            return (simple + self.beyond(statement, full.ins, full.out)) * full.times
        return max(2 * simple, Fraction(2 * full.moved)) * full.times

    def rate(self, statement: Compute) -> Fraction:
        """Operations of one core in the unit that runs a statement, per picosecond."""
        unit, dtype = self.cost.unit(statement), computed_in(self.program, statement)
        if unit is not None:
            return self.rates.flops(unit, dtype)
        lanes = self.sheet.unit("vector")
        widened = lanes is not None and lanes.widens and dtype in NARROW
        return self.rates.vector("f32" if widened and statement.kind == "vector" else dtype)

    def peak(self, statement: Compute) -> Fraction:
        """Operations of all cores in the best unit for a product, whatever its layout."""
        return self.rates.best_product(computed_in(self.program, statement)) * self.rates.cores

    def beyond(self, statement: Compute, ins: Sequence[TensorType | None], out: TensorType) -> int:
        """Operations beyond the edges of a product, in the granules of the matrix unit."""
        unit = self.cost.unit(statement)
        first = ins[0]
        if unit is None or first is None:
            return 0
        batch, m, n, k = gemm_shape(statement.op, shapes(ins), out.dims)
        rows, columns, depth = unit.granule(first.itemsize)
        whole = padded(m, rows) * padded(n, columns) * padded(k, depth)
        return 2 * batch * (whole - m * n * k)


@dataclass(frozen=True)
class FullTile:
    """Each statement with the lane slots of all its executions in a tile away from edges.

    ``cycles`` are those of a core that computes all of them.
    """

    slots: tuple[tuple[Placed, Fraction], ...]
    cycles: Fraction


def apart(size: int, once: int, each: Term) -> tuple[Term, Term]:
    """The bytes of one view by what ``each`` of them takes: those that had to move, the rest."""
    first = min(size, once)
    return (
        replace(each, amount=first * each.amount),
        replace(each, cause="reload", amount=(size - first) * each.amount),
    )


@lru_cache(maxsize=64)
def full_tiles(units: tuple[Unit, ...]) -> dict[TileProgram, FullTile]:
    """What is known of full tiles on cores with such units."""
    del units
    return {}


def _below(ps: float) -> int:
    """Whole picoseconds: surely not more than the exact figure that ``ps`` is near, rounded up."""
    return ceil(ps * (1 - ROUGHNESS))
