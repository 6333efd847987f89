"""What deciders ask of a device: prices of groups alone and of whole runs, each worked out once."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod

from emu.devices.driver import captured, plan
from emu.ir.body import Body, body_of
from emu.ir.count import count
from emu.ir.fusion.pricing import Quote
from emu.ir.graph import Graph
from emu.ir.group import Decision, Fused, Group
from emu.ir.regions import footprint_bytes
from emu.ir.schedule import Binding, Schedule
from emu.ir.tile import Loop, TileProgram
from emu.ir.work import whole_work
from emu.select import Selector
from emu.tiles import Choice


class Prices:
    """The prices of one graph under one selector, by the chip's own clock."""

    def __init__(
        self,
        graph: Graph,
        selector: Selector,
        near: Selector | None = None,
        replays: bool = False,
    ) -> None:
        """Ask ``selector`` for kernels of groups of ``graph``.

        Groups alone are priced with the kernels of ``near``, which may have fewer cores; whole runs
        never are. With ``replays`` their launches are issued as graphs.
        """
        self.graph = graph
        self.selector = selector
        self.near = near or selector
        self.replays = replays
        self.bodies: dict[tuple[int, ...], Body] = {}
        self.bound: dict[tuple[str, ...], list[Binding]] = {}
        self.runs: dict[frozenset[tuple[str, ...]], int] = {}

    def alone(self, nodes: Sequence[int], worth_ps: int | None = None) -> Quote:
        """Price nodes as one group on an idle chip, by the first library that has a kernel."""
        body = self.body(tuple(nodes))
        reasons: list[str] = []
        for library in self.near.libraries:
            choice = self.near.choose(library, body, worth_ps)
            if choice.program is not None:
                return self.quote(body, choice, choice.program)
            reasons.append(choice.why)
        return Quote(0, False, reasons[0])

    def quote(self, body: Body, choice: Choice, program: TileProgram) -> Quote:
        """The price of a choice, and how its program runs."""
        block = tuple(self.near.device.residency(program).block.items())
        numbers = dict(_facts(program, block))
        numbers["recompute_flops"] = max(0, numbers.pop("flops") - whole_work(body).flops)
        numbers["cores"] = min(numbers["cores"], self.near.machine.cores)
        return Quote(choice.ps, True, choice.why, choice.timed, numbers)

    def body(self, nodes: tuple[int, ...]) -> Body:
        """The body of nodes at ascending positions."""
        if nodes not in self.bodies:
            self.bodies[nodes] = body_of(self.graph, [self.graph.nodes[i] for i in nodes]).body
        return self.bodies[nodes]

    def run(self, fused: Fused) -> int:
        """Picoseconds of a whole run of these groups, which are those of the graph or its end."""
        key = frozenset(group.nodes for group in fused.groups)
        if key not in self.runs:
            self.runs[key] = self.simulate(fused)
        return self.runs[key]

    def simulate(self, fused: Fused) -> int:
        """Bind all groups, plan and run them."""
        bindings = tuple(b for group in fused.groups for b in self.bind(group))
        selector, schedule = self.selector, Schedule(fused.graph, bindings)
        device, over = selector.device, selector.over_capacity
        program = plan(schedule, device.machine, over_capacity=over)
        return device.latency_ps(captured(program) if self.replays else program)

    def bind(self, group: Group) -> list[Binding]:
        """What computes a group; names do not matter to its price."""
        if group.nodes not in self.bound:
            unsaid: list[Decision] = []
            self.bound[group.nodes] = self.selector.bind(self.graph, group, unsaid)
        return self.bound[group.nodes]


@lru_cache(maxsize=8192)
def _facts(program: TileProgram, block: tuple[tuple[int, int], ...]) -> tuple[tuple[str, int], ...]:
    """On-chip bytes of one core, the parallel tiles, and all simple operations of a program."""
    tiles = prod(_iterations(program, loop) for loop in program.loops if loop.parallel)
    flops = count(program, block).total_work.flops
    return ("onchip_bytes", footprint_bytes(program)), ("cores", tiles), ("flops", flops)


def _iterations(program: TileProgram, loop: Loop) -> int:
    extent = loop.extent if loop.parent is None else program.loops[loop.parent].step
    return -(-extent // loop.step)
