"""What the units of the cores of a GPU compute in a wave: operations of tiles, edges included.

The steps of a reduction can be dealt apart from the rest of a tile, so the two are counted apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

from emu.devices.deals import reduction
from emu.devices.full_tile import FullCompute, full_tile
from emu.devices.rates import Rates
from emu.devices.terms import Term
from emu.devices.tile_cost import TileCost, computed_in, moved_elements
from emu.devices.units import Unit
from emu.ir.count import Counts
from emu.ir.layout import padded
from emu.ir.tile import Compute, Placed, Statement, TileProgram
from emu.ir.types import NARROW, TensorType
from emu.ir.work import gemm_shape, shapes


@dataclass(frozen=True)
class WaveUnits:
    """The units of one chip and one tile program.

    ``counts`` are the operations of all its tiles, ``cost`` knows the true work of statements.
    """

    program: TileProgram
    rates: Rates
    counts: Counts
    cost: TileCost

    def computed(self, tiles: int, stepping: Fraction, beside: Fraction) -> tuple[Term, ...]:
        """Operations of ``tiles`` tiles.

        Every core takes its time for the reductions of ``stepping`` full ones, and for what stands
        ``beside`` reductions in so many.
        """
        terms: list[Term] = []
        for number, (placed, full) in enumerate(self.full_tile.slots):
            if isinstance(placed.statement, Compute):
                per_core = stepping if self.steps(placed) else beside
                terms += self.operations(number, placed.statement, full, tiles, per_core)
        return tuple(terms)

    def operations(
        self, number: int, statement: Compute, full: Fraction, tiles: int, per_core: Fraction
    ) -> tuple[Term, ...]:
        """Terms of one statement. Units do multiply-adds, other operations use half a slot."""
        node, products = statement.node, statement.kind == "matrix"
        chip = self.rate(statement) * self.rates.cores
        peak = max(chip, self.peak(statement)) if products else chip
        simple = self.rates.simple(self.counts.computed[number][0]) * tiles / self.cost.active
        again = self.cost.again(number)
        slots = simple if products else 2 * simple
        whole = self.cost.type(statement.out)
        placed = 2 * moved_elements(statement, whole) * Fraction(tiles, self.cost.active)
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
        known = full_tiles(self.rates.sheet.compute.units)
        if self.program not in known:
            full = zip(self.program.statements, full_tile(self.program), strict=True)
            slots = tuple((placed, self.slots(placed.statement, each)) for placed, each in full)
            known[self.program] = FullTile(slots, *self.cycles(slots))
        return known[self.program]

    def cycles(self, slots: Sequence[tuple[Placed, Fraction]]) -> tuple[Fraction, Fraction]:
        """The cycles of all statements, and of those of the reduction."""
        found = [Fraction(), Fraction()]
        for placed, each in slots:
            if isinstance(placed.statement, Compute):
                took = each / self.rate(placed.statement) * self.rates.clock
                found[0] += took
                found[1] += took if self.steps(placed) else 0
        return found[0], found[1]

    def steps(self, placed: Placed) -> bool:
        """Whether a statement belongs to the steps of a reduction that is dealt."""
        loop = reduction(self.program)
        return loop is not None and loop in placed.loops

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
        lanes = self.rates.sheet.unit("vector")
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

    ``cycles`` are those of a core that computes all of them, ``stepping`` those of its reduction.
    """

    slots: tuple[tuple[Placed, Fraction], ...]
    cycles: Fraction
    stepping: Fraction


@lru_cache(maxsize=64)
def full_tiles(units: tuple[Unit, ...]) -> dict[TileProgram, FullTile]:
    """What is known of full tiles on cores with such units."""
    del units
    return {}
