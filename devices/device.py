"""What every simulated chip does: say what fits, price tile programs, run programs on a clock."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import TypeVar, cast

from emu.devices.datasheet import Datasheet
from emu.devices.holds import HOST, LINK, Hold
from emu.devices.host import calling, crossing, passing
from emu.devices.marks import START, Mark, follow, later
from emu.devices.queue import Queue
from emu.devices.rates import Rates
from emu.devices.terms import Phase, Settled, settle
from emu.devices.tile_cost import Shares
from emu.ir.body import Body
from emu.ir.count import count
from emu.ir.errors import Unsupported
from emu.ir.machine import Machine, Residency
from emu.ir.ops import OPS, Fusion
from emu.ir.ops.decide import HOST_ONLY
from emu.ir.program import (
    Command,
    Copy,
    Drop,
    HostCall,
    Keep,
    Launch,
    Program,
    Replay,
    Step,
    Wait,
)
from emu.ir.regions import taken_bytes
from emu.ir.tile import TileProgram
from emu.ir.trace import Footprint, Launched, Trace
from emu.ir.work import node_work, whole_work

T = TypeVar("T")


class Device(ABC):
    """One chip with its datasheet. A subclass says what a launch does to the clock."""

    def __init__(self, sheet: Datasheet) -> None:
        """Take the facts of ``sheet``."""
        self.sheet = sheet
        self.rates = Rates(sheet)
        self.remembered: dict[object, object] = {}

    @property
    def name(self) -> str:
        """The name of the datasheet."""
        return self.sheet.name

    @cached_property
    @abstractmethod
    def machine(self) -> Machine:
        """What compiler and kernels may know of the chip."""

    @abstractmethod
    def price(self, program: TileProgram) -> int:
        """Picoseconds of a tile program alone on the chip, issue not counted."""

    def bound_ps(self, program: TileProgram) -> int:
        """Less than the price of a tile program: its bytes at the rate of the memory."""
        counts = count(program, tuple(self.residency(program).block.items()))
        return int(counts.memory_bytes / self.rates.dram)

    def least_ps(self, program: TileProgram) -> int:
        """The closest bound below the price of a tile program that costs less than the price."""
        return self.bound_ps(program)

    def busy_ps(self, program: Program, cores: int) -> int:
        """A bound on the time of any program of the same model on at most ``cores`` cores.

        Its products at the peak of their best units, or its weights at the rate of the memory.
        """
        flops: dict[str, int] = {}
        weights: dict[str, int] = {}
        for command in program.commands:
            if isinstance(command, Launch):
                for dtype, count in product_flops(command.body):
                    flops[dtype] = flops.get(dtype, 0) + count
                weights |= {
                    command.ins[v]: command.body.types[v].bytes for v in command.body.weights
                }
        computing = sum(
            (n / (self.rates.best_product(dtype) * cores) for dtype, n in flops.items()), Fraction()
        )
        loading = sum(weights.values()) / self.rates.dram
        return int(max(computing, loading))

    def memo(self, key: object, make: Callable[[], T]) -> T:
        """Remember what was made for this chip."""
        if key not in self.remembered:
            self.remembered[key] = make()
        return cast(T, self.remembered[key])

    @abstractmethod
    def run(self, free: frozenset[str]) -> "Clock":
        """A clock at zero; the causes in ``free`` take no time."""

    def residency(self, program: TileProgram) -> Residency:
        """What a shared cache holds while ``program`` runs; nothing on a chip without one."""
        del program
        return Residency()

    def refusal(self, body: Body, taught: frozenset[str] = frozenset()) -> str | None:
        """Why the chip cannot run a body, or None if it can.

        Ops in ``taught`` have kernels that do without what the datasheet says is missing.
        """
        for node in body.nodes:
            if node.op in HOST_ONLY:
                return HOST_ONLY[node.op]
            why = self.sheet.ops.refusal(node.op, dict(node.attrs))
            if why and node.op not in taught:
                return f"{node.op}: {why}"
            dtype = body.types[node.ins[0] if is_product(node.op) else node.out].dtype
            if not any(self.rates.flops(unit, dtype) for unit in self.sheet.compute.units):
                return f"{node.op}: no unit of {self.name} computes in {dtype}"
        return None

    def fits(self, program: TileProgram, kept_bytes: int = 0) -> bool:
        """Whether the buffers of a program fit a core beside values that are kept there."""
        return taken_bytes(program, self.machine) + kept_bytes <= self.machine.onchip_bytes

    def shortage(self, program: TileProgram) -> str:
        """What a program that does not fit needs, and what there is."""
        banks = "" if self.machine.bank_bytes == 1 else " in whole banks"
        needed, room = taken_bytes(program, self.machine), self.machine.onchip_bytes
        return f"needs {needed:,} bytes on chip{banks}, has {room:,}"

    def simulate(self, program: Program, free: frozenset[str] = frozenset()) -> Trace:
        """Run the commands of ``program`` on a new clock; ``free`` causes take no time."""
        return self.ran(program, self.run(free)).trace(program.peak_bytes)

    def latency_ps(self, program: Program) -> int:
        """How long ``simulate`` says that ``program`` takes, without what it is charged to."""
        return self.ran(program, self.run(frozenset())).last.ps

    def holds(self, program: Program, stepwise: bool = False) -> tuple[Hold, ...]:
        """Which resource works when, while ``program`` runs; ``stepwise`` one event at a time."""
        clock = self.run(frozenset())
        clock.holds, clock.stepwise = [], stepwise
        self.ran(program, clock)
        return tuple(clock.holds)

    def ran(self, program: Program, clock: "Clock") -> "Clock":
        """A clock on which the commands of ``program`` ran."""
        owners, own = _owners(program.commands), _own(program)
        for command, owner in zip(program.commands, owners, strict=True):
            match command:
                case Replay():
                    clock.replay(command)
                case Launch():
                    clock.launch(command, _shares(own, command))
                case HostCall():
                    clock.host_call(command)
                case Copy():
                    clock.copy(command, owner)
                case Keep():
                    clock.keep(command)
                case Drop():
                    clock.drop(command)
                case Wait():
                    clock.wait()
                case _:
                    pass
        return clock


class Clock(ABC):
    """One run: when values are ready, and when host, link and launch queue are free."""

    def __init__(self, device: Device, free: frozenset[str]) -> None:
        """Start at zero."""
        self.device = device
        self.free = free
        self.host = self.link = self.end = START
        self.ready: dict[str, Mark] = {}
        self.queue = Queue(device.sheet, free)
        self.spans: dict[int, tuple[int, int]] = {}
        self.did: dict[int, Footprint] = {}
        self.holds: list[Hold] | None = None  # kept only if somebody asks for them
        self.stepwise = False

    @abstractmethod
    def launch(self, command: Launch, shares: Shares) -> None:
        """Issue a launch and let it run when its resources, inputs and memory are there."""

    def keep(self, command: Keep) -> None:
        """Give a value room on chip; raises Unsupported where nothing outlives a launch there."""
        name, value = self.device.name, command.value
        raise Unsupported(f"{name}: value '{value}': what is on chip does not outlive a launch")

    def drop(self, command: Drop) -> None:
        """Give the room back."""
        raise Unsupported(f"{self.device.name}: value '{command.value}' was never kept on chip")

    def settle(self, phases: tuple[Phase, ...]) -> Settled:
        """The duration of terms, without what is free."""
        return settle(phases, self.free)

    def replay(self, command: Replay) -> None:
        """Put a graph into the queue; the first of its launches takes the charge."""
        issuing = self.queue.replay(command.launches)
        self.host = self.holding(HOST, self.host, issuing, command.index)

    def issue(self, index: int) -> tuple[Mark, Settled]:
        """Put a launch into the queue: when the host has done so, and how long it then starts."""
        issuing, starting = self.queue.launch()
        self.host = self.holding(HOST, self.host, issuing, index)
        return self.host, starting

    def holding(
        self, resource: str, start: Mark, settled: Settled, index: int, size: int = 0
    ) -> Mark:
        """Hold a resource from a moment on; returns when it is free again."""
        end = start.after(settled, index)
        if self.holds is not None and settled.ps:
            shares = dict(settled.shares)
            self.holds.append(Hold(resource, index, start.ps, end.ps, shares, size=size))
        return end

    def record(self, index: int, start_ps: int, end: Mark, did: Footprint) -> None:
        """Remember when a launch ran and what it did."""
        self.spans[index] = (start_ps, end.ps)
        self.did[index] = did
        self.end = later(self.end, end)

    def copy(self, command: Copy, owner: Step | None) -> None:
        """Move a value over the link for its owner; the host waits for what it reads."""
        index, rates, size = -1 if owner is None else owner.index, self.device.rates, command.size
        crossed = self.settle(crossing(command, rates))
        passed = self.settle(passing(command, owner, rates))
        if command.to == "device":
            self.host = self.holding(HOST, self.host, passed, index)
            self.link = self.holding(LINK, later(self.link, self.host), crossed, index, size)
            self.ready[command.value] = self.link
        else:
            made = self.ready.get(command.value, START)
            self.link = self.holding(LINK, later(self.link, made), crossed, index, size)
            self.host = self.holding(HOST, later(self.host, self.link), passed, index)
        did = self.did.get(index, Footprint())
        self.did[index] = Footprint(did.traffic, link_bytes=did.link_bytes + command.size)

    def host_call(self, command: HostCall) -> None:
        """Compute on the host, which issues nothing meanwhile."""
        start, cost = self.host, self.settle(calling(command.body, self.device.rates))
        self.host = self.holding(HOST, start, cost, command.index)
        for value in command.outs:
            self.ready[value] = self.host
        did = self.did.get(command.index, Footprint())
        work = whole_work(command.body)
        self.record(
            command.index, start.ps, self.host, Footprint(link_bytes=did.link_bytes, work=work)
        )

    def wait(self) -> None:
        """Let the host wait for all that was issued."""
        self.host = later(self.host, self.end, self.link)

    @property
    def last(self) -> Mark:
        """When the device, the link and the host are done."""
        return later(self.end, self.link, self.host)

    def trace(self, peak_device_bytes: int) -> Trace:
        """Everything that happened; the charges sum to the latest moment."""
        last = self.last
        charges = follow(last)
        launches = tuple(
            Launched(index, *self.spans[index], charges.get(index, {}), self.did[index])
            for index in sorted(self.spans)
        )
        return Trace(last.ps, launches, peak_device_bytes)


def _own(program: Program) -> frozenset[str]:
    """Inputs and outputs of the whole model, in the layouts in which groups read and make them."""
    own = {*program.inputs, *program.outputs}
    for command in program.commands:
        if isinstance(command, Launch) and _converts(command):
            values = {*command.ins, *command.outs}
            own |= values if values & own else set()
    return frozenset(own)


def _converts(command: Launch) -> bool:
    """Whether a launch only changes a layout: all that it moves is a detour."""
    return all(node.op == "Relayout" for node in command.body.nodes)


def _shares(own: frozenset[str], command: Launch) -> Shares:
    """Which views of a launch are weights, or among the model's ``own`` values."""
    if _converts(command):
        return Shares(converts=True)
    names: Mapping[int, str] = dict(enumerate(command.ins))
    outs = dict(zip(command.body.outputs, command.outs, strict=True))
    return Shares(
        frozenset(
            i
            for i, view in enumerate(command.program.views)
            if view.role == "weight"
            or (view.role == "input" and view.value is not None and names[view.value] in own)
            or (view.role == "output" and view.value is not None and outs[view.value] in own)
        )
    )


def _owners(commands: tuple[Command, ...]) -> list[Step | None]:
    """For each copy the launch or host call that is charged with it.

    A copy to the device belongs to the host call before it, one to the host to the call after it.
    Where none comes the program itself reads the value, which belongs to what made it.
    """
    coming = [command for command in commands if isinstance(command, HostCall)]
    past: Step | None = None
    makers: dict[str, Step] = {}
    owners: list[Step | None] = []
    for command in commands:
        if isinstance(command, Launch | HostCall):
            makers |= dict.fromkeys(command.outs, command)
        if isinstance(command, HostCall):
            past = coming.pop(0)
        if isinstance(command, Copy) and command.to == "host":
            owners.append(coming[0] if coming else makers.get(command.value))
        else:
            owners.append(past)
    return owners


def is_product(op: str) -> bool:
    """Whether an op is a matrix product or a convolution, which a matrix unit can run."""
    return OPS[op].fusion == Fusion.ANCHOR


def product_flops(body: Body) -> Iterator[tuple[str, int]]:
    """Element type of the factors and operations of each matrix product in a body."""
    for node in body.nodes:
        if is_product(node.op):
            work = node_work(body, replace(node, ins=node.ins[:2]))
            yield body.types[node.ins[0]].dtype, work.flops
