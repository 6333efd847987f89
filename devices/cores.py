"""Systolic and NPU chips: cores with scratchpads whose tiles are stepped through real resources."""

from dataclasses import replace
from functools import cached_property

from emu.devices.arrays import NATIVE, check_array_model
from emu.devices.datasheet import Datasheet
from emu.devices.device import Clock, Device
from emu.devices.holds import stepped
from emu.devices.launch_footprint import launch_footprint
from emu.devices.marks import START, Mark, later
from emu.devices.moments import Moment
from emu.devices.tile_cost import NO_SHARES, Shares, TileCost
from emu.devices.timeline import OPEN, Clockwork
from emu.devices.wires import DMA_IN, KEPT_IN, RESOURCES
from emu.ir.machine import Machine
from emu.ir.program import Drop, Keep, Launch
from emu.ir.regions import held_bytes, taken_bytes
from emu.ir.tile import Compute, TileProgram
from emu.ir.trace import Footprint

KIB = 1024
NOTHING: frozenset[str] = frozenset()


class CoreDevice(Device):
    """A chip of identical cores with a matrix array, vector lanes and DMA engines each."""

    def __init__(self, sheet: Datasheet, array_model: str = NATIVE) -> None:
        """Take the facts of ``sheet``; ``array_model`` prices the matrix array."""
        super().__init__(sheet)
        self.array_model = check_array_model(array_model)
        self.clockworks: dict[tuple[TileProgram, Shares, frozenset[str]], Clockwork] = {}

    @cached_property
    def machine(self) -> Machine:
        """Cores over which parallel loops are spread, and one scratchpad each."""
        matrix = self.sheet.unit("matrix")
        banked = self.sheet.unified_buffer
        shape = (1, 1) if matrix is None else (matrix.rows or 1, matrix.columns or 1)
        return Machine(
            name=self.name,
            grid=False,
            cores=self.sheet.compute.cores,
            onchip_bytes=int(self.sheet.memory.onchip.capacity_kib * KIB),
            device_bytes=int(self.sheet.memory.dram.capacity_gib * KIB**3),
            alignment_bytes=self.sheet.memory.dram.alignment_bytes,
            matrix_shape=shape,
            network=self.sheet.network is not None,
            bank_bytes=1 if banked is None else int(banked.bank_kib * KIB),
        )

    def clockwork(
        self, program: TileProgram, shares: Shares, free: frozenset[str] = NOTHING
    ) -> Clockwork:
        """The clockwork of a program; equal ones are made once.

        What is compulsory makes no difference to it, unless only that is free.
        """
        told = shares if free & {"compulsory", "intermediate", "layout"} else NO_SHARES
        key = (program, told, free)
        found = self.clockworks.get(key)
        if found is None:
            cost = TileCost(program, self.rates, told, self.array_model)
            found = self.clockworks[key] = Clockwork(cost, free)
        return found

    def fits(self, program: TileProgram, kept_bytes: int = 0) -> bool:
        """Whether a core has room for the buffers of a program, and its accumulators for sums."""
        room = self.accumulator_bytes
        return super().fits(program, kept_bytes) and (
            room is None or self.summed_bytes(program) <= room
        )

    def shortage(self, program: TileProgram) -> str:
        """What a program that does not fit needs, and what there is."""
        if not super().fits(program) or self.accumulator_bytes is None:
            return super().shortage(program)
        needed, room = self.summed_bytes(program), self.accumulator_bytes
        return f"needs {needed:,} bytes of accumulators, has {room:,}"

    @cached_property
    def accumulator_bytes(self) -> int | None:
        """What the accumulators of a core hold, None where sums may lie anywhere on chip."""
        accumulators = self.sheet.accumulators
        return None if accumulators is None else int(accumulators.capacity_kib * KIB)

    def summed_bytes(self, program: TileProgram) -> int:
        """Bytes of the buffers that the array of a core sums into, all versions of each."""
        cost = TileCost(program, self.rates, NO_SHARES, self.array_model)
        computes = (p.statement for p in program.statements if isinstance(p.statement, Compute))
        return held_bytes(program, {s.out for s in computes if cost.unit(s) is not None})

    def footprint(self, program: TileProgram, shares: Shares, cost: TileCost) -> Footprint:
        """What a launch of a program does; worked out once."""
        return self.memo(
            ("footprint", program, shares),
            lambda: launch_footprint(program, shares, None, cost.active, cost.array_cycles),
        )

    def price(self, program: TileProgram) -> int:
        """The end of a program on an idle chip, in ps."""
        clockwork = self.clockwork(program, NO_SHARES)
        entries = (0,) * (OPEN + 1 + len(clockwork.inputs))
        return clockwork.passage(entries).end.ps

    def bound_ps(self, program: TileProgram) -> int:
        """Its bytes at the rate of the memory, or the cycles that the first array is held."""
        cost, dram, clock = (
            self.clockwork(program, NO_SHARES).cost,
            self.rates.dram,
            self.rates.clock,
        )
        moving = cost.course.memory_bytes * dram.denominator // dram.numerator
        return max(moving, cost.array_cycles * clock.denominator // clock.numerator)

    def least_ps(self, program: TileProgram) -> int:
        """How long the first core holds its busiest resource."""
        return self.clockwork(program, NO_SHARES).busiest_ps

    def run(self, free: frozenset[str]) -> Clock:
        """A clock at zero."""
        return _CoreClock(self, free)


class _CoreClock(Clock):
    """Resources carry over: the next launch loads while the last one computes, if memory allows."""

    def __init__(self, device: CoreDevice, free: frozenset[str]) -> None:
        super().__init__(device, free)
        self.chip = device
        self.resources = [START] * len(RESOURCES)
        self.alive: list[tuple[int, Mark]] = []  # on-chip bytes of a core, and when they end
        self.kept: dict[str, Keep] = {}
        self.used: dict[str, Mark] = {}  # when the launches that deal with kept values end

    def launch(self, command: Launch, shares: Shares) -> None:
        """Step the tile program from the state that the launches before left."""
        index, program = command.index, command.program
        clockwork = self.chip.clockwork(program, shares, self.free)
        names = {i: command.ins[v] for i, v in self.input_values(program).items()}
        ready = [self.ready.get(names[view], START) for view in clockwork.inputs]
        entries = [*self.resources, self.open(index, program), *ready]
        kept = any(program.views[view].kept for view in clockwork.inputs)
        # Nothing starts before the first load, so what is earlier than its engine makes no odds.
        first = min((DMA_IN, KEPT_IN), key=lambda i: entries[i].ps) if kept else DMA_IN
        base = entries[first].ps
        since = tuple(max(mark.ps - base, 0) for mark in entries)
        passage = clockwork.passage(since)
        if self.holds is not None:
            self.holds += stepped(clockwork, since, index, base, shares, self.stepwise)

        def mark(moment: Moment) -> Mark:
            origin = later(entries[first], entries[moment.origin])
            return Mark(base + moment.ps, origin, index, None, clockwork, moment.path, shares)

        for i, moment in enumerate(passage.free):
            if moment.origin != i or moment.path:
                self.resources[i] = mark(moment)
        outs = dict(zip(command.body.outputs, command.outs, strict=True))
        for view, moment in passage.stored.items():
            value = program.views[view].value
            if value is not None and value in outs:  # else nobody waits for it
                self.ready[outs[value]] = mark(moment)
        end = mark(passage.end)
        self.alive.append((taken_bytes(program, self.chip.machine), end))
        self.used |= {v: later(self.used[v], end) for v in touched(command) if v in self.kept}
        did = self.with_kept(self.chip.footprint(program, shares, clockwork.cost))
        self.record(index, later(entries[first], entries[OPEN]).ps, end, did)

    def input_values(self, program: TileProgram) -> dict[int, int]:
        """The body's values that the loaded views are."""
        return {
            i: view.value
            for i, view in enumerate(program.views)
            if view.loaded and view.value is not None
        }

    def keep(self, command: Keep) -> None:
        """Take room from the launch that follows until the value is dropped."""
        self.kept[command.value] = command
        self.used[command.value] = START

    def drop(self, command: Drop) -> None:
        """Give the room back when the last launch that deals with the value ends."""
        size = self.kept.pop(command.value).size
        self.alive.append((size, self.used.pop(command.value)))

    def with_kept(self, did: Footprint) -> Footprint:
        """What a launch does, and the values that lie on chip meanwhile."""
        kept = sum(keep.cores * keep.size for keep in self.kept.values())
        return replace(did, peak_onchip_bytes=did.peak_onchip_bytes + kept) if kept else did

    def open(self, index: int, program: TileProgram) -> Mark:
        """When a launch is issued and started, and the on-chip memory that it needs is free."""
        issued, starting = self.issue(index)
        opened = issued.after(starting, index)
        kept = sum(keep.size for keep in self.kept.values())
        room = self.chip.machine.onchip_bytes - taken_bytes(program, self.chip.machine) - kept
        while self.alive and sum(size for size, _ in self.alive) > room:
            _, end = self.alive.pop(0)
            opened = later(opened, end)
        return opened


def touched(command: Launch) -> tuple[str, ...]:
    """The values that a launch reads or makes."""
    return (*command.ins, *command.outs)
