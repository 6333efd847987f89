"""What one statement of a tile program costs on a core, as typed terms.

All active cores run in step, so a statement stands for the same one on each of them: bytes share
the device memory of the chip, operations are those of all active cores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

from emu.devices.arrays import FORMULAS, NATIVE
from emu.devices.datasheet import Unit
from emu.devices.network import Transfer
from emu.devices.rates import ZERO, Rates
from emu.devices.terms import NO_EVENT, Event, Phase, Term, one, positive
from emu.ir.count import count
from emu.ir.ops import Work
from emu.ir.regions import Frame, Run, moved_slice, region, runs, shape, span, trips
from emu.ir.tile import Compute, Gather, Load, Operand, Statement, Store, TileProgram
from emu.ir.types import TensorType
from emu.ir.work import gemm_shape, shapes, tile_work

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


def moved_elements(statement: Compute, out: TensorType) -> int:
    """Elements of a result that lanes move without computing; a reshape on chip moves none."""
    return out.elements if statement.op in MOVES else 0


def computed_in(program: TileProgram, statement: Compute) -> str:
    """The element type that sets a rate: of a product that of its factors, else of the result."""
    first = statement.ins[0] if statement.kind == "matrix" else None
    buffer = program.buffers[statement.out if first is None else first.buffer]
    return program.views[buffer.value].type.dtype


def active_cores(program: TileProgram) -> int:
    """How many cores have tiles: the iterations of all parallel loops."""
    return prod(trips(loop, {}) for loop in program.loops if loop.parallel)


@dataclass(frozen=True)
class TileCost:
    """Prices the statements of one program on one chip."""

    program: TileProgram
    rates: Rates
    shares: Shares
    array_model: str = NATIVE

    @cached_property
    def active(self) -> int:
        """Cores that have tiles."""
        return active_cores(self.program)

    def busy(self, number: int, statement: Statement, frame: Frame) -> Event:
        """For how long statement ``number`` holds its resource in ``frame``."""
        match statement:
            case Load() | Gather() | Store():
                return self.moved(number, statement.buffer, self.moved_view(statement), frame)
            case Compute():
                return self.compute(number, statement, frame)
            case _:
                return NO_EVENT

    def latency(self, statement: Statement) -> Event:
        """From the end of holding the resource until the result can be used."""
        if isinstance(statement, Load | Gather):
            view = self.program.views[self.moved_view(statement)]
            if view.kept:
                return NO_EVENT if view.own else self.rates.event("hops", self.rates.hops)
            return self.rates.event("latency", lambda: one(self.rates.dram_latency))
        unit = self.unit(statement) if isinstance(statement, Compute) else None
        if unit is None or self.array_model != NATIVE:
            return NO_EVENT
        cycles = Fraction((unit.rows or 1) + (unit.columns or 1) - 2)
        drain = Term("fill_drain", cycles, self.rates.clock)
        return self.rates.event("drain", lambda: one(drain))

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
        match statement:
            case Load(buffer, _):
                return self.program.buffers[buffer].value
            case Gather(table, _, _, _):
                return table
            case Store(_, view, _):
                return view
            case _:
                return -1

    def moved(self, number: int, buffer: int, view: int, frame: Frame) -> Event:
        """Moving a buffer between device memory and every active core, or through the port."""
        item = self.type(buffer).itemsize
        mine = item * moved_slice(self.program, self.program.buffers[buffer], frame)
        again, cause = self.moved_again(number, view), self.shares.cause(view)
        lies = self.program.views[view]
        if lies.kept:
            transfer = Transfer(mine, self.active, lies.kept_cores, self.alike(number, buffer))
            return self.rates.event(
                ("kept", transfer, lies.own, again, cause),
                lambda: self.kept_transfer(transfer, lies.own, again, cause),
            )
        return self.rates.event(
            ("moved", mine, self.active, again, cause), lambda: self.transfer(mine, again, cause)
        )

    def transfer(self, mine: int, again: Fraction, cause: str) -> Phases:
        """Terms of ``mine`` bytes for each active core, a share of them ``again``."""
        size = Fraction(mine * self.active)
        first = Term(cause, size * (1 - again), self.rates.dram)
        repeated = Term("reload", size * again, self.rates.dram)
        through_port = Term("slower_path", Fraction(mine), self.rates.port)
        return (Phase((positive((first, repeated)), positive((through_port,)))),)

    def kept_transfer(self, transfer: Transfer, own: bool, again: Fraction, cause: str) -> Phases:
        """Terms of moving a value that is kept on chip: through the port, and the network."""
        bounds = [(Fraction(transfer.mine), self.rates.port)]
        if not own:
            bounds += self.rates.network_bounds(transfer)
        alternatives = (
            positive((Term(cause, size * (1 - again), rate), Term("reload", size * again, rate)))
            for size, rate in bounds
        )
        return (Phase(tuple(alternatives)),)

    def alike(self, number: int, buffer: int) -> int:
        """How many cores move the same slice with a buffer: those of loops that it follows not."""
        followed = {
            n for a in self.program.buffers[buffer].axes for n in self.program.lineage(a.of)
        }
        loops = self.program.statements[number].loops
        return prod(
            trips(self.program.loops[n], {})
            for n in loops
            if self.program.loops[n].parallel and n not in followed
        )

    def moved_again(self, number: int, view: int) -> Fraction:
        """The share of the bytes that a statement moves that had been moved before."""
        if number not in self.repeated:
            counts = count(self.program)
            if view in counts.stored:
                moved, once = counts.stored[view], self.program.views[view].type.bytes
            else:
                moved, once = counts.loaded[view], counts.unique[view]
            self.repeated[number] = 1 - Fraction(min(once, moved), moved)
        return self.repeated[number]

    @cached_property
    def repeated(self) -> dict[int, Fraction]:
        """By statement, the share of its bytes or operations that is done again."""
        return {}

    def compute(self, number: int, statement: Compute, frame: Frame) -> Event:
        """Operations on the matrix array if there is one for them, else on the vector lanes."""
        ins, out = self.tile_types(statement, frame)
        unit, again = self.unit(statement), self.again(number, statement)
        dtype = computed_in(self.program, statement)
        if unit is not None:
            held = self.held(number, statement, unit, frame)
            product = gemm_shape(statement.op, shapes(ins), out.dims)
            return self.rates.event(
                ("array", product, held, dtype, self.active, again),
                lambda: self.array(product, held, again, unit, dtype),
            )
        work = tile_work(statement.op, statement.attrs, ins, out)
        elements = max([out.elements, *(t.elements for t in ins if t is not None)])
        return self.rates.event(
            ("lanes", statement.op, dtype, statement.kind, work, elements, out, self.active, again),
            lambda: one(*self.on_lanes(again, statement, work, elements, out)),
        )

    def on_lanes(
        self, again: Fraction, statement: Compute, work: Work, elements: int, out: TensorType
    ) -> tuple[Term, ...]:
        """Terms of vector work, or of a product on a chip that has no matrix unit for it."""
        dtype = computed_in(self.program, statement)
        rate = self.rates.vector(dtype)
        lanes = max(1, int(rate / self.rates.clock / 2))
        used = Fraction(elements, -(-elements // lanes) * lanes)
        moved = moved_elements(statement, out) * self.active
        return self.rates.vector_terms(
            work * self.active,
            again,
            moved,
            dtype,
            self.active,
            used,
            products=statement.kind == "matrix",
        )

    def array(
        self,
        product: tuple[int, int, int, int],
        held: Fraction,
        again: Fraction,
        unit: Unit,
        dtype: str,
    ) -> Phases:
        """Terms of folds of stationary weights, each streaming the rows of the tile through."""
        batch, m, n, k = product
        streamed = min(held, self.folds(unit, batch, n, k) * m * self.slowness(unit, dtype))
        flops = Fraction(2 * batch * m * n * k)
        return one(*self.array_terms(again, flops, streamed, held, unit, dtype))

    def folds(self, unit: Unit, batch: int, n: int, k: int) -> int:
        """How many tiles of stationary weights a product has."""
        return batch * -(-k // (unit.rows or 1)) * -(-n // (unit.columns or 1))

    def slowness(self, unit: Unit, dtype: str) -> Fraction:
        """Cycles per row of a fold: more than 1 for a dtype below the rate of the array."""
        cycle_flops = self.rates.flops(unit, dtype) / self.rates.clock
        return Fraction(2 * (unit.rows or 1) * (unit.columns or 1)) / cycle_flops

    def held(self, number: int, statement: Compute, unit: Unit, frame: Frame) -> Fraction:
        """Cycles for which one tile holds the array: a fold cannot be shorter than its preload."""
        if self.array_model != NATIVE:
            return Fraction(self.formula_cycles(number, statement, unit, frame))
        ins, out = self.tile_types(statement, frame)
        batch, m, n, k = gemm_shape(statement.op, shapes(ins), out.dims)
        folds = self.folds(unit, batch, n, k)
        slowness = self.slowness(unit, computed_in(self.program, statement))
        return folds * max(m, unit.rows or 1) * slowness

    def array_terms(
        self,
        again: Fraction,
        flops: Fraction,
        streamed: Fraction,
        held: Fraction,
        unit: Unit,
        dtype: str,
    ) -> tuple[Term, ...]:
        """Split the ``held`` cycles of an array: true operations, edges, idle cores, filling."""
        peak, cores = self.rates.flops(unit, dtype), self.rates.cores
        best = self.rates.best_product(dtype)
        clock = self.rates.clock
        true = flops / peak * clock  # cycles that the operations of one core take at its peak
        slower = true * (1 - peak / best)
        spare = Fraction(cores - self.active, cores)
        return positive(
            (
                Term("useful", flops * self.active * (1 - again), best * cores),
                Term("recompute", flops * self.active * again, best * cores),
                Term("padding", (streamed - true) * (1 - spare), clock),
                Term("idle", streamed * spare - slower * spare, clock),
                Term("slower_path", slower, clock),
                Term("fill_drain", held - streamed, clock),
            )
        )

    def formula_cycles(self, number: int, statement: Compute, unit: Unit, frame: Frame) -> int:
        """The share of one tile, by operations, of the cycles of the whole product.

        An array model prices a fold over its whole stream, however the stream is tiled in memory;
        what integer shares leave over is paid by the first tile.
        """
        total = self.whole_cycles(statement, unit)
        whole = self.whole_product(statement)
        total = total * self.executed(number).flops // max(1, self.true(statement).flops)
        total = -(-total // self.active)
        share = self.tile_share(statement, frame, total, whole)
        if any(start for start, _ in frame.values()):
            return share
        given = sum(
            self.tile_share(statement, f, total, whole) * times
            for f, times in self.lead_frames(number)
        )
        return share + total - given

    def tile_share(self, statement: Compute, frame: Frame, total: int, whole: int) -> int:
        """Cycles of one tile in proportion to its multiply-adds, rounded down."""
        ins, out = self.tile_types(statement, frame)
        return total * prod(gemm_shape(statement.op, shapes(ins), out.dims)) * self.active // whole

    def whole_product(self, statement: Compute) -> int:
        """Multiply-adds of the product, done again or not."""
        ins, out = self.whole_types(statement)
        return prod(gemm_shape(statement.op, shapes(ins), out.dims))

    def whole_cycles(self, statement: Compute, unit: Unit) -> int:
        """Cycles of the whole product by the named array model."""
        ins, out = self.whole_types(statement)
        batch, m, n, k = gemm_shape(statement.op, shapes(ins), out.dims)
        formula = FORMULAS[self.array_model]
        return batch * formula(m, n, k, unit.rows or 1, unit.columns or 1)

    @cached_property
    def array_cycles(self) -> int:
        """Cycles for which the matrix array of the first core is held in all."""
        cycles = Fraction()
        for number, placed in enumerate(self.program.statements):
            statement = placed.statement
            if isinstance(statement, Compute) and (unit := self.unit(statement)) is not None:
                for frame, times in self.lead_frames(number):
                    cycles += self.held(number, statement, unit, frame) * times
        return -(-cycles.numerator // cycles.denominator)

    def runs(self, loop: int, frame: Frame) -> tuple[Run, ...]:
        """The runs of a loop; what a named array model leaves over is paid by the first tile."""
        return runs(self.program, loop, frame, first_alone=self.array_model != NATIVE)

    def lead_frames(self, number: int) -> list[tuple[Mapping[int, tuple[int, int]], int]]:
        """The kinds of iterations of a statement on the first core, and how often each occurs."""
        found: list[tuple[Mapping[int, tuple[int, int]], int]] = [({}, 1)]
        for loop in self.program.statements[number].loops:
            parallel = self.program.loops[loop].parallel
            found = [
                ({**frame, loop: run.interval}, times * (1 if parallel else run.count))
                for frame, times in found
                for run in self.runs(loop, frame)[: 1 if parallel else None]
            ]
        return found

    def tile_types(
        self, statement: Compute, frame: Frame
    ) -> tuple[tuple[TensorType | None, ...], TensorType]:
        """The types of operands (fill included) and result of one execution."""
        spans = region(self.program, self.program.buffers[statement.out], frame)
        out = TensorType(self.type(statement.out).dtype, shape(spans))
        inner = {d: (s.start, s.stop) for d, s in enumerate(spans)}
        ins = tuple(None if o is None else self.tile_type(o, inner, frame) for o in statement.ins)
        return ins, out

    def tile_type(self, operand: Operand, out: Frame, frame: Frame) -> TensorType:
        """The type of what an operand reads."""
        view = self.type(operand.buffer)
        buffer = self.program.buffers[operand.buffer]
        lengths: list[int] = []
        for need, have, extent in zip(operand.axes, buffer.axes, view.dims, strict=True):
            if need.of is None:
                lengths.append(span(have, frame, extent).length)
            else:
                low, high = need.image(*out[need.of])
                lengths.append(-(-(high - low) // need.step))
        return TensorType(view.dtype, tuple(lengths))

    def whole_types(self, statement: Compute) -> tuple[tuple[TensorType | None, ...], TensorType]:
        """The types of operands and result if nothing were cut."""
        ins = tuple(None if o is None else self.type(o.buffer) for o in statement.ins)
        return ins, self.type(statement.out)

    def true(self, statement: Compute) -> Work:
        """The work of a statement if nothing were cut."""
        ins, out = self.whole_types(statement)
        return tile_work(statement.op, statement.attrs, ins, out)

    def executed(self, number: int) -> Work:
        """The work of all executions of statement ``number``."""
        return count(self.program).computed[number][0]

    def again(self, number: int, statement: Compute) -> Fraction:
        """The share of a statement's operations that is done more than once."""
        if number not in self.repeated:
            true = self.rates.simple(self.true(statement))
            done = self.rates.simple(self.executed(number))
            self.repeated[number] = max(ZERO, 1 - true / done) if done else ZERO
        return self.repeated[number]
