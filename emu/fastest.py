"""Find the groups, the kernels and the number of cores whose whole run is fastest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from emu.choose import Prices
from emu.devices.bounds import issued_ps, least_host_ps
from emu.devices.device import Device
from emu.devices.driver import captured, keep_on_chip, plan
from emu.dump import Watch
from emu.ir.body import BodyOf, body_of
from emu.ir.errors import Unsupported
from emu.ir.fusion import asks_device, decide
from emu.ir.graph import Graph
from emu.ir.group import Decision, Fused, Group
from emu.ir.machine import Machine
from emu.ir.program import Program
from emu.ir.schedule import Binding, Schedule
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Library
from emu.select import Selector
from emu.stack import Stack
from emu.tuning.database import TuningDatabase
from emu.tuning.tuner import Tuner

Planned: TypeAlias = tuple[Fused, Schedule, Program]
Decided: TypeAlias = tuple[str, tuple[Group, ...], tuple[Decision, ...]]  # without the graph
Plans: TypeAlias = Sequence[tuple[Schedule, Program]]
Alike: TypeAlias = tuple[BodyOf, tuple[tuple[str, str], ...]]


def fastest(
    graph: Graph,
    stack: Stack,
    chip: Device,
    watch: Watch,
    database: TuningDatabase | None = None,
    library: Library | None = None,
    worth_ps: int | None = None,
) -> Planned:
    """The plan whose whole run is fastest, over the counts of cores that could be used.

    What was decided for an equal graph on the chip before is not decided again. Tuned tiles come
    last: groups and cores are those that are fastest with the tiles of the menus. They are looked
    up in a ``database`` and kept there. A ``library`` stands for the one that the stack names.
    With ``worth_ps`` fewer cores are not tried where they cannot be faster than that: a run that is
    not may not be fastest.
    """
    if stack.compiler.residency == "on" and chip.machine.grid:
        raise Unsupported(
            f"--residency on: what is on chip does not outlive a launch on {chip.name}"
        )
    case = _Case(graph, _alike(graph), stack, chip, library or LIBRARIES[stack.kernels], watch)
    cores = case.cores(worth_ps)
    best = case.finished(cores, database)
    if stack.compiler.graph_replay == "off":
        return best
    graphs = replace(case, replays=True, plans={})
    fewer = graphs.cores(worth_ps)
    if graphs.plan(fewer)[1].bindings == case.plan(cores)[1].bindings:
        return case.replayed(best, best)
    return case.replayed(best, graphs.finished(fewer, database))


def quick_plan(graph: Graph, stack: Stack, chip: Device, library: Library, tiling: str) -> Planned:
    """A plan that is quicker to find than the fastest: on all cores, without fusion by priority.

    That weighs every other plan against this one. With ``tiling`` "menu" the fastest is chosen from
    this plan too. With "any" tiles that fit, which are quicker to find, it takes no less time than
    the fastest if nothing overlaps, since both have the same kernels.
    """
    compiler = stack.compiler
    if compiler.decider == "priority":
        stack = replace(stack, compiler=replace(compiler, scope="none"))
    case, cores = _Case(graph, _alike(graph), stack, chip, library, Watch()), chip.machine.cores
    fused = case.fuse(case.selector(cores), case.selector(_round(cores)))
    schedule = case.selector(cores, tiling).schedule(fused)
    program = case.planned(schedule)
    return fused, schedule, program if compiler.graph_replay == "off" else captured(program)


def _alike(graph: Graph) -> Alike:
    """All that groups, kernels and cores can depend on: equal for graphs that are alike."""
    constants = sorted((name, c.key) for name, c in graph.constants.items() if c.inline is not None)
    return body_of(graph, graph.nodes), tuple(constants)


FEW = 4  # cores of which every number is tried


@dataclass(frozen=True)
class _Case:
    """A graph to be compiled with one library on one chip.

    Whole runs are timed as if launches were issued one by one, or as graphs that it ``replays``.
    """

    graph: Graph
    alike: Alike
    stack: Stack
    chip: Device
    library: Library
    watch: Watch
    plans: dict[int, Planned] = field(default_factory=dict[int, Planned])
    replays: bool = False

    def latency_ps(self, program: Program) -> int:
        """How long a whole run takes."""
        return self.chip.latency_ps(captured(program) if self.replays else program)

    def cores(self, worth_ps: int | None) -> int:
        """The number of cores to use, found once for graphs that are alike."""
        key = "cores", self.alike, self.stack, self.library, self.replays, worth_ps
        return self.chip.memo(key, lambda: self.best_cores(worth_ps))

    def finished(self, cores: int, database: TuningDatabase | None) -> Planned:
        """The plan with at most ``cores`` cores, tuned and with values kept on chip if asked."""
        best = self.plan(cores)
        if self.stack.compiler.tiling == "tuned":
            with self.watch.timed("tune"):
                best = self.tuned(best, cores, database)
        if self.stack.compiler.residency == "on":
            with self.watch.timed("keep on chip"):
                best = self.resident(best)
        return best

    def best_cores(self, worth_ps: int | None) -> int:
        """The number of cores to use.

        On chips that spread loops over cores, smaller counts stay candidates, so that a chip is
        never slower than one with fewer cores if these are a power of two, or it has a FEW. Counts
        that could not be faster even without any stall, or not as fast as is worth it, are not
        tried.
        """
        chip, most = self.chip, self.chip.machine.cores
        fewer = fewer_cores(chip.machine)
        if not fewer:
            return most
        first = self.plan(most)
        best, best_schedule, best_ps = most, first[1], self.latency_ps(first[2])
        for cores in fewer:
            bound = max(chip.busy_ps(first[2], cores), self.unfused_ps(cores))
            if bound >= best_ps or (worth_ps is not None and bound >= worth_ps):
                continue
            _, schedule, program = self.plan(cores)
            ps = best_ps if schedule == best_schedule else self.latency_ps(program)
            if ps < best_ps:
                best, best_schedule, best_ps = cores, schedule, ps
        return best

    def unfused_ps(self, cores: int) -> int:
        """A bound on a run without fusion: the host issues each launch, then the last one runs.

        It is 0 where launches are fused, or issued as graphs.
        """
        if self.stack.compiler.scope != "none" or self.replays or not self.graph.nodes:
            return 0
        chip, (fused, schedule, _) = self.chip, self.plan(self.chip.machine.cores)
        (last,) = self.selector(cores).bind(self.graph, fused.groups[-1], [])
        running_ps = 0 if last.program is None else issued_ps(last.program, chip)
        return running_ps + sum(least_host_ps(b.body, chip) for b in schedule.bindings)

    def plan(self, cores: int) -> Planned:
        """The plan with at most ``cores`` cores, with tiles of the menus; made once."""
        if cores not in self.plans:
            self.plans[cores] = self.made(cores)
        return self.plans[cores]

    def made(self, cores: int) -> Planned:
        """Choose groups and kernels for at most ``cores`` cores, and plan memory."""
        selector = self.selector(cores)
        with self.watch.timed("fuse"):
            fused = self.fuse(selector, self.selector(_round(cores)))  # graph -> groups
        with self.watch.timed("bind kernels"):
            schedule = selector.schedule(fused)  # groups -> schedule
        with self.watch.timed("plan"):
            return fused, schedule, self.planned(schedule)  # schedule -> commands

    def planned(self, schedule: Schedule) -> Program:
        """The commands of a schedule; raises CapacityError unless what does not fit is priced."""
        over_capacity = self.stack.compiler.over_capacity
        return plan(schedule, self.chip.machine, over_capacity=over_capacity)

    def selector(self, cores: int, tiling: str = "menu") -> Selector:
        """The selector for at most ``cores`` cores, without tuning; made once on a chip.

        Tiles are those that the compiler takes of the menus, or "any".
        """
        if tiling == "menu":
            by_rule = self.stack.compiler.tiling == "heuristic"
            tiling = "heuristic" if by_rule else "exhaustive"
        fallback, over = self.stack.compiler.fallback, self.stack.compiler.over_capacity
        return self.chip.memo(
            ("selector", self.library, tiling, fallback, cores, over),
            lambda: Selector(
                self.chip,
                self.library,
                cores,
                tiling=tiling,
                fallback=fallback,
                over_capacity=over,
            ),
        )

    def fuse(self, selector: Selector, near: Selector) -> Fused:
        """Let the decider choose groups, once for graphs that are alike.

        Whole runs are those of ``selector``, groups alone are priced by ``near``.
        """
        scope, decider = self.stack.compiler.scope, self.stack.compiler.decider
        asked = (selector, self.replays) if asks_device(scope, decider) else None
        key = self.alike, scope, decider, asked

        def choose() -> Decided:
            prices = Prices(self.graph, selector, near, self.replays)
            fused = decide(self.graph, scope, decider, prices)
            return fused.scope, fused.groups, fused.decisions

        return Fused(self.graph, *self.chip.memo(key, choose))

    def tuned(self, best: Planned, cores: int, database: TuningDatabase | None) -> Planned:
        """Tune what the compiler generated; the menu's tiles stay if a whole run is faster so."""
        fused, menu, _ = best
        chip, compiler = self.chip, self.stack.compiler
        generated = _generated(menu.bindings)
        with self.watch.bar("tuning", compiler.trials * len(generated)) as tick:
            array_model = self.stack.device.array_model
            tuner = Tuner(chip, array_model, compiler.trials, database, tick)
            fallback = compiler.fallback
            selector = Selector(chip, self.library, cores, fallback=fallback, tuner=tuner)
            schedule = selector.schedule(fused)
        nodes = _nodes(generated)
        plans = self.plans_of([schedule])
        return self.not_slower(best, plans, "tune:run", "tuned tiles", lambda _: nodes)

    def resident(self, best: Planned) -> Planned:
        """The plan with values kept on chip, or the given one if no such run is as fast.

        Where cores reach each other, keeping only what each finds in its own scratchpad is a
        candidate too, since a network can be slower than device memory.
        """
        machine = self.chip.machine
        machines = dict.fromkeys((machine, replace(machine, network=False)))
        kept = [keep_on_chip(best[1], m) for m in machines]
        plans = self.plans_of(kept)
        return self.not_slower(best, plans, "residency:run", "kept values", _kept_makers)

    def replayed(self, best: Planned, other: Planned) -> Planned:
        """The fastest of two plans with launches issued as graphs, or ``best`` as it is.

        ``other`` was chosen for graphs. Raises Unsupported for a chip that replays no graphs.
        """
        replays = [self.chip.latency_ps(captured(plan[2])) for plan in (best, other)]
        faster = replays[1] < min(replays[0], self.latency_ps(best[2]))
        chosen = other if faster else best
        plans = [(chosen[1], captured(chosen[2]))]
        return self.not_slower(chosen, plans, "replay:run", "graphs", _launched)

    def plans_of(self, schedules: Sequence[Schedule]) -> Plans:
        """Each schedule with its commands."""
        return [(schedule, self.planned(schedule)) for schedule in schedules]

    def not_slower(
        self,
        best: Planned,
        plans: Plans,
        code: str,
        what: str,
        nodes: Callable[[Schedule], tuple[str, ...]],
    ) -> Planned:
        """The fastest of other plans, or the given one if its whole run is faster.

        A decision under ``code`` says which, about the ``nodes`` of the fastest other schedule.
        """
        fused, schedule, program = best
        without = self.latency_ps(program)
        times = [self.latency_ps(made) for _, made in plans]
        ps = min(times)
        chosen, made = plans[times.index(ps)]
        why = f"the whole run is {'not slower' if ps <= without else 'slower'} with {what}"
        said = Decision(
            ps <= without, code, why, nodes(chosen), {"run_ps": ps, "without_ps": without}
        )
        told = replace(chosen if said.ok else schedule, decisions=(*chosen.decisions, said))
        return fused, told, made if said.ok else program


def fewer_cores(machine: Machine) -> list[int]:
    """Smaller counts of cores that could be faster: none where tiles run as a grid.

    All counts below a FEW cores, else powers of two, since each is a whole search for groups.
    """
    cores = machine.cores
    if machine.grid:
        return []
    if cores <= FEW:
        return list(range(cores - 1, 0, -1))
    return [1 << shift for shift in reversed(range((cores - 1).bit_length()))]


def _round(cores: int) -> int:
    """The number of cores for which groups are priced alone: a power of two, so that few differ.

    It follows from the cores in use, not from those of the chip, so that the plans of a smaller
    chip are candidates on a larger one.
    """
    return 1 << cores.bit_length() - 1


def _generated(bindings: Sequence[Binding]) -> Sequence[Binding]:
    """One binding for each distinct kernel that the compiler generates."""
    found = {(b.kernel, b.body): b for b in bindings if b.kernel.startswith("generated.")}
    return tuple(found.values())


def _kept_makers(schedule: Schedule) -> tuple[str, ...]:
    """The nodes that make values which a schedule keeps on chip."""
    values = (d for d in schedule.decisions if d.ok and d.code == "residency:value")
    return tuple(dict.fromkeys(node for d in values for node in d.nodes))


def _launched(schedule: Schedule) -> tuple[str, ...]:
    """The nodes that the device computes."""
    return _nodes([binding for binding in schedule.bindings if binding.program is not None])


def _nodes(bindings: Sequence[Binding]) -> tuple[str, ...]:
    return tuple(node for binding in bindings for node in binding.group.nodes)
