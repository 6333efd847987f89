"""What one statement of a tile program costs on a core, as typed terms.

All active cores run in step, so a statement stands for the same one on each of them: bytes share
the device memory of the chip, operations are those of all active cores.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from math import prod

from emu.devices.arrays import FORMULAS, NATIVE
from emu.devices.course import Course, Part, course_of
from emu.devices.datasheet import Onchip
from emu.devices.folds import Folds, array_terms, folds_of, port_terms
from emu.devices.network import Transfer
from emu.devices.rates import ZERO, Rates
from emu.devices.slices import Slice
from emu.devices.terms import NO_EVENT, Event, Phase, Term, one, positive, shared
from emu.devices.tile_shapes import Tile, moved_view
from emu.devices.units import Compute as ComputeFacts
from emu.devices.units import Unit
from emu.ir.tile import Compute, Gather, Load, Statement, Store, TileProgram
from emu.ir.types import TensorType

Phases = tuple[Phase, ...]
MOVES = frozenset(
    (
        *("Transpose", "Identity", "Expand", "Resize", "Pad"),
        *("GatherElements", "GatherND", "ReverseSequence"),
    )
)


@dataclass(frozen=True)
class Shares:
    """Which views of a program are the model's own, so that moving them once cannot be avoided.

    A program that ``converts`` only changes layouts: nothing that it moves had to be moved.
    """

    compulsory: frozenset[int] = frozenset()
    converts: bool = False

    def cause(self, view: int) -> str:
        """The cause that the first move of a view is charged to."""
        if self.converts:
            return "layout"
        return "compulsory" if view in self.compulsory else "intermediate"


NO_SHARES = Shares()


def moved_elements(statement: Compute, out: TensorType) -> int:
    """Elements of a result that lanes move without computing; a reshape on chip moves none."""
    return out.elements if statement.op in MOVES else 0


def computed_in(program: TileProgram, statement: Compute) -> str:
    """The element type that sets a rate: of a product that of its factors, else of the result."""
    first = statement.ins[0] if statement.kind == "matrix" else None
    buffer = program.buffers[statement.out if first is None else first.buffer]
    return program.views[buffer.value].type.dtype


# The folds of a product: shifting in the first, all before the last, and the last.
Preloading = tuple[Folds, tuple[Event, Event, Event]]


@dataclass
class UnitCost:
    """What the units of a core take for one program: the ``events`` of its parts by their places.

    ``preloads`` are how their weights get into the array, by the same places, and ``held`` the
    cycles for which the matrix array of the first core is held in all.
    """

    events: dict[int, Event] = field(default_factory=dict[int, Event])
    preloads: dict[int, Preloading | None] = field(default_factory=dict[int, Preloading | None])
    held: int | None = None


@lru_cache(maxsize=8)
def unit_costs(
    name: str, facts: ComputeFacts, onchip: Onchip, array_model: str
) -> dict[TileProgram, UnitCost]:
    """What is known of programs on the units of a chip and the ports that they read through.

    No device memory and no link makes a difference, so chips that differ in these only work it out
    once. ``name`` is what refusals call the chip.
    """
    del name, facts, onchip, array_model
    return {}


@dataclass(frozen=True)
class TileCost:
    """Prices the statements of one program on one chip."""

    program: TileProgram
    rates: Rates
    shares: Shares
    array_model: str = NATIVE

    @cached_property
    def course(self) -> Course:
        """What is executed; what a named array model leaves over is paid by the first tile."""
        return course_of(self.program, not self.native)

    @cached_property
    def active(self) -> int:
        """Cores that have tiles."""
        return self.course.active

    @cached_property
    def on_units(self) -> UnitCost:
        """What the units take, shared between chips with the same ones."""
        sheet = self.rates.sheet
        known = unit_costs(sheet.name, sheet.compute, sheet.memory.onchip, self.array_model)
        if self.program not in known:
            known[self.program] = UnitCost()
        return known[self.program]

    def busy(self, place: int) -> Event:
        """For how long the part at a place of the course holds its resource."""
        part = self.course.parts[place]
        statement = self.program.statements[part.number].statement
        if isinstance(statement, Compute) and isinstance(part.shape, Tile):
            events = self.on_units.events
            if place not in events:
                events[place] = self.compute(part, statement, part.shape)
            return events[place]
        if isinstance(statement, Load | Gather | Store) and isinstance(part.shape, Slice):
            return self.moved(part.number, statement, part.shape)
        return NO_EVENT

    def latency(self, statement: Statement) -> Event:
        """From the end of holding the resource until the result can be used."""
        if isinstance(statement, Load | Gather):
            view = self.program.views[self.moved_view(statement)]
            if view.kept:
                return NO_EVENT if view.own else self.rates.event("hops", self.rates.hops)
            return self.rates.event("latency", lambda: one(self.rates.dram_latency))
        unit = self.unit(statement) if isinstance(statement, Compute) else None
        if unit is None or not self.native:
            return NO_EVENT
        cycles = (unit.rows or 1) + (unit.columns or 1) - 2
        clock = self.rates.clock
        return self.rates.event("drain", lambda: one(Term("fill_drain", Fraction(cycles), clock)))

    def unit(self, statement: Compute) -> Unit | None:
        """The matrix unit, if it runs this statement: in its element type and, a conv, layout."""
        first = statement.ins[0] if statement.kind == "matrix" else None
        if first is None:
            return None
        return self.rates.product_unit(statement.op, self.type(first.buffer))

    def type(self, buffer: int) -> TensorType:
        """The type of the value that a buffer holds slices of."""
        return self.program.views[self.program.buffers[buffer].value].type

    def moved_view(self, statement: Statement) -> int:
        """The view that a statement moves bytes of, -1 if it moves none."""
        return moved_view(self.program, statement)

    def moved(self, number: int, statement: Load | Gather | Store, mine: Slice) -> Event:
        """Moving a slice between device memory and every active core, or through the port."""
        view = self.moved_view(statement)
        again, cause = self.course.moved_again(view), self.shares.cause(view)
        lies = self.program.views[view]
        if lies.kept:
            alike = self.course.alike(number, statement.buffer)
            transfer = Transfer(mine.bytes, self.active, lies.kept_cores, alike)
            return self.rates.event(
                ("kept", transfer, lies.own, again, cause, mine),
                lambda: self.kept_transfer(transfer, lies.own, again, cause, mine),
            )
        return self.rates.event(
            ("moved", mine, self.active, again, cause), lambda: self.transfer(mine, again, cause)
        )

    def transfer(self, mine: Slice, again: Fraction, cause: str) -> Phases:
        """Terms of a slice for each active core, a share of it ``again``: whole bursts."""
        size, dram = Fraction(mine.bytes * self.active), self.rates.dram
        in_memory = (
            Term(cause, size * (1 - again), dram),
            Term("reload", size * again, dram),
            Term("padding", self.rates.burst_bytes(mine) * self.active - size, dram),
        )
        through_port = Term("slower_path", Fraction(mine.bytes), self.rates.port)
        alternatives = in_memory, (through_port,), self.rates.described(mine)
        return (Phase(tuple(map(positive, alternatives))),)

    def kept_transfer(
        self, transfer: Transfer, own: bool, again: Fraction, cause: str, mine: Slice
    ) -> Phases:
        """Terms of moving a value that is kept on chip: through the port, and the network."""
        bounds = [(Fraction(transfer.mine), self.rates.port)]
        if not own:
            bounds += self.rates.network_bounds(transfer)
        alternatives = (
            positive((Term(cause, size * (1 - again), rate), Term("reload", size * again, rate)))
            for size, rate in bounds
        )
        described = () if own else self.rates.described(mine)
        return (Phase((*alternatives, positive(described))),)

    @cached_property
    def repeated(self) -> dict[int, Fraction]:
        """By statement, the share of its operations that is done again."""
        return {}

    def compute(self, part: Part, statement: Compute, tile: Tile) -> Event:
        """Operations on the matrix array if there is one for them, else on the vector lanes."""
        unit, again = self.unit(statement), self.again(part.number)
        dtype = computed_in(self.program, statement)
        if unit is not None:
            folds = self.folds(statement, unit, tile)
            held = self.held(part, statement, unit, tile)
            return self.array(folds, folds.count, held, dtype, again)
        return self.rates.event(
            ("lanes", tile, dtype, statement.kind, self.active, again),
            lambda: one(*self.on_lanes(again, statement, tile)),
        )

    def on_lanes(self, again: Fraction, statement: Compute, tile: Tile) -> tuple[Term, ...]:
        """Terms of vector work, or of a product on a chip that has no matrix unit for it."""
        dtype = computed_in(self.program, statement)
        rate = self.rates.vector(dtype)
        lanes = max(1, int(rate / self.rates.clock / 2))
        used = Fraction(tile.elements, -(-tile.elements // lanes) * lanes)
        moved = moved_elements(statement, tile.out) * self.active
        return self.rates.vector_terms(
            tile.work * self.active,
            again,
            moved,
            dtype,
            self.active,
            used,
            products=statement.kind == "matrix",
        )

    def folds(self, statement: Compute, unit: Unit, tile: Tile) -> Folds:
        """The folds of one execution of a product; a named model reads through no port."""
        size = tile.data_bytes if self.native else 0
        return folds_of(tile.product, size, unit, self.rates, computed_in(self.program, statement))

    def held(self, part: Part, statement: Compute, unit: Unit, tile: Tile) -> Fraction:
        """Cycles for which one tile holds the array."""
        if not self.native:
            return Fraction(self.formula_cycles(part, unit, tile))
        return self.folds(statement, unit, tile).held

    def array(self, folds: Folds, count: int, held: Fraction, dtype: str, again: Fraction) -> Event:
        """What ``count`` of the folds of a product do to the array."""
        key = "array", folds, count, held, dtype, self.active, again
        return self.rates.event(
            key,
            lambda: (
                Phase((array_terms(self.rates, *key[1:]), port_terms(self.rates, folds, count))),
            ),
        )

    @property
    def native(self) -> bool:
        """Whether each fold is priced, and not the whole of a product by a named model."""
        return self.array_model == NATIVE

    def preload(self, place: int) -> Preloading | None:
        """How the weights of the product at a place of the course get into the array.

        None for what is no product on an array, or where a named model prices the whole of it.
        """
        known = self.on_units.preloads
        if place not in known:
            known[place] = self.preloading(self.course.parts[place])
        return known[place]

    def preloading(self, part: Part) -> Preloading | None:
        """The same, worked out."""
        statement, tile = self.program.statements[part.number].statement, part.shape
        if not (self.native and isinstance(statement, Compute) and isinstance(tile, Tile)):
            return None
        if (unit := self.unit(statement)) is None:
            return None
        folds = self.folds(statement, unit, tile)
        dtype, again = computed_in(self.program, statement), self.again(part.number)
        shift = Term("fill_drain", folds.shift, self.rates.clock)
        return folds, (
            self.rates.event(("shift", folds.shift), lambda: one(shift)),
            self.array(folds, max(0, folds.count - 1), folds.lead, dtype, again),
            self.array(folds, min(1, folds.count), folds.last, dtype, again),
        )

    def part(self, event: Event, share: Fraction) -> Event:
        """A share of all that an event does."""
        return self.rates.event(("part", event, share), lambda: shared(event.phases, share))

    def formula_cycles(self, part: Part, unit: Unit, tile: Tile) -> int:
        """The share of one tile, by operations, of the cycles of the whole product.

        An array model prices a fold over its whole stream, however the stream is tiled in memory;
        what integer shares leave over is paid by the first tile.
        """
        total = self.whole_cycles(part.number, unit)
        whole = prod(self.course.wholes[part.number].product)
        share = self.tile_share(tile, total, whole)
        if not part.first:
            return share
        tiles = self.course.tiles(part.number)
        given = sum(self.tile_share(found, total, whole) * times for found, times in tiles)
        return share + total - given

    def tile_share(self, tile: Tile, total: int, whole: int) -> int:
        """Cycles of one tile in proportion to its multiply-adds, rounded down."""
        return total * prod(tile.product) * self.active // whole

    def whole_cycles(self, number: int, unit: Unit) -> int:
        """Cycles of the whole product on one core by the named array model, halos done again."""
        whole = self.course.wholes[number]
        batch, m, n, k = whole.product
        formula = FORMULAS[self.array_model]
        cycles = batch * formula(m, n, k, unit.rows or 1, unit.columns or 1)
        cycles = cycles * self.course.executed(number).flops // max(1, whole.work.flops)
        return -(-cycles // self.active)

    @property
    def array_cycles(self) -> int:
        """Cycles for which the matrix array of the first core is held in all."""
        if self.on_units.held is None:
            self.on_units.held = self.all_array_cycles()
        return self.on_units.held

    def all_array_cycles(self) -> int:
        """The same, worked out."""
        cycles = Fraction()
        for number, placed in enumerate(self.program.statements):
            statement = placed.statement
            if isinstance(statement, Compute) and (unit := self.unit(statement)) is not None:
                cycles += self.all_held(number, statement, unit)
        return -(-cycles.numerator // cycles.denominator)

    def all_held(self, number: int, statement: Compute, unit: Unit) -> Fraction:
        """Cycles for which all tiles of a statement hold the array of the first core."""
        if not self.native:
            return Fraction(self.whole_cycles(number, unit))
        slowness = self.rates.slowness(unit, computed_in(self.program, statement))
        return self.course.streamed(number, unit.rows or 1, unit.columns or 1) * slowness

    def again(self, number: int) -> Fraction:
        """The share of a statement's operations that is done more than once."""
        if number not in self.repeated:
            true = self.rates.simple(self.course.wholes[number].work)
            done = self.rates.simple(self.course.executed(number))
            self.repeated[number] = max(ZERO, 1 - true / done) if done else ZERO
        return self.repeated[number]
