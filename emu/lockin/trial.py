"""Trying a stack of parts: every contract is executed, then the program is compiled and timed."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from emu.devices.datasheet import Datasheet, load_datasheet
from emu.devices.device import Device
from emu.devices.make import device_of
from emu.dtype import in_dtype
from emu.dump import Watch
from emu.fastest import Planned, fastest
from emu.ir.errors import CapacityError, ContainerError, ContractError, EmuError, Unsupported
from emu.ir.graph import Graph
from emu.ir.passes import run_passes
from emu.kernels.library import Library
from emu.layouts import lay_out
from emu.lockin.bundles import dtype_of, library_of, listed
from emu.lockin.by_host import OnlyHost
from emu.lockin.contracts import CONTRACTS, Contract
from emu.lockin.contracts.kernels import instead
from emu.lockin.meetings import Meetings
from emu.lockin.parts import Catalogue, Choice, Part
from emu.lockin.playing import Playing
from emu.lockin.replays import replays
from emu.lockin.segments import Segment, Timed, programs_of, reading, timed
from emu.lockin.source import Source
from emu.stack import Chip, Compiler, Stack

Called = frozenset[Part]
Compiled = tuple[Segment, ...]


@dataclass(frozen=True)
class Failure:
    """Where a stack failed: the contract ("" for none), the stage, and the error."""

    contract: str
    stage: str
    error: EmuError

    @property
    def name(self) -> str:
        """The name of the error."""
        return type(self.error).__name__


@dataclass(frozen=True)
class Trial:
    """What came of trying a stack: its failure, or its time; and which parts were called."""

    failure: Failure | None
    timed: Timed = field(default_factory=Timed)
    called: frozenset[Part] = frozenset()

    @property
    def ps(self) -> int:
        """Picoseconds of a warm run."""
        return self.timed.ps


@dataclass(eq=False)
class Laboratory:
    """Tries stacks on one source program; equal contracts and equal programs are met once."""

    catalogue: Catalogue
    source: Source
    meetings: Meetings = field(default_factory=Meetings)
    timed: dict[Hashable, Timed | EmuError] = field(
        default_factory=dict[Hashable, Timed | EmuError]
    )
    chips: dict[Hashable, Device] = field(default_factory=dict[Hashable, Device])
    programs: dict[Hashable, Compiled] = field(default_factory=dict[Hashable, Compiled])
    on_all_cores: dict[Hashable, Timed | EmuError] = field(
        default_factory=dict[Hashable, Timed | EmuError]
    )
    by_host: dict[Hashable, int] = field(default_factory=dict[Hashable, int])
    typed: dict[Hashable, tuple[Graph, ...]] = field(
        default_factory=dict[Hashable, tuple[Graph, ...]]
    )
    keys: dict[Hashable, Hashable] = field(default_factory=dict[Hashable, Hashable])
    lowered: dict[Hashable, tuple[Graph, ...]] = field(
        default_factory=dict[Hashable, tuple[Graph, ...]]
    )
    sheets: dict[Hashable, Datasheet] = field(default_factory=dict[Hashable, Datasheet])
    played: dict[Hashable, Called | EmuError] = field(
        default_factory=dict[Hashable, Called | EmuError]
    )

    def meets(
        self, contract: Contract, choice: Choice, seen: tuple[int, ...] | None = None
    ) -> EmuError | None:
        """The error that a contract ends with, None if it holds.

        ``seen`` are the numbers of what it sees in each slot, for those who know them already.
        """
        seen = seen or self.meetings.seen(contract, choice, self.catalogue)
        return self.meetings.error((contract, seen), choice, self.catalogue, self.source)

    def refusal(self, choice: Choice) -> Failure | None:
        """The first contract that a stack breaks."""
        for contract in CONTRACTS:
            error = self.meets(contract, choice)
            if error is not None:
                return Failure(contract.name, contract.stage, error)
        return None

    def try_(self, choice: Choice) -> Trial:
        """Go through all stages until one fails."""
        refused = self.refusal(choice)
        if refused is not None:
            return Trial(refused)
        timed = self.time(choice)
        if isinstance(timed, EmuError):
            return Trial(Failure("", "run", timed))
        called = self.called(choice)
        if isinstance(called, EmuError):
            return Trial(Failure(getattr(called, "contract", ""), "run", called))
        return Trial(None, timed, called)

    def called(self, choice: Choice) -> Called | EmuError:
        """Who took part in the contracts and in a run of a stack that can be timed.

        The run is one without values, played once for equal programs from the same compiler on
        the same libraries, drivers and chip; what stops it is returned.
        """
        slots = (choice[slot] for slot in ("compiler", "kernels", "driver", "device"))
        program = self._key(choice, self.chip(choice))
        key = program, choice["front_end"][0].fact("mode"), *slots
        if key not in self.played:
            self.played[key] = self._play(choice, self.programs[program])
        played = self.played[key]
        if isinstance(played, EmuError):
            return played
        return played | self.meetings.took_part(choice, self.catalogue)

    def _play(self, choice: Choice, segments: Compiled) -> Called | EmuError:
        compiled = programs_of(segments)
        chip, outputs = self.chip(choice), self.source.graph.outputs
        playing = Playing(segments, choice, self.catalogue, chip, compiled.__getitem__)
        try:
            return playing.play(outputs).called
        except (ContractError, ContainerError, CapacityError, Unsupported) as error:
            return error

    def time(self, choice: Choice, like: Part | None = None) -> Timed | EmuError:
        """A warm run, or why it cannot run.

        With ``like`` the chip has the compute rates, bandwidths and capacities of that one.
        """
        return self._known(choice, self.chip(choice, like), self.timed)

    def program(self, choice: Choice) -> Hashable:
        """What the program of a stack follows from, equal for equal programs; None if it has none.

        Orchestrators make no difference to it.
        """
        slots = (choice[s] for s in ("front_end", "compiler", "kernels", "driver", "device"))
        parts = self.catalogue, *slots
        if parts not in self.keys:
            try:
                self.keys[parts] = self._key(choice, self.chip(choice))
            except Unsupported:
                self.keys[parts] = None
        return self.keys[parts]

    def at_most(self, choice: Choice) -> Timed | EmuError:
        """A warm run that is quick to find, or why it cannot run: the best one is no slower.

        It is on all cores and, where the compiler weighs fusion by whole runs, without any.
        """
        return self._known(choice, self.chip(choice), self.on_all_cores)

    def at_least(self, choice: Choice) -> int:
        """A bound on a warm run in picoseconds, from what only the host can compute.

        It is 0 for what cannot run at all.
        """
        chip = self.chip(choice)
        try:
            key = self._key(choice, chip)
            if key not in self.by_host:
                graphs, only = self._typed(choice, chip), self._only(choice, chip)
                self.by_host[key] = sum(only.least_ps(graph) for graph in graphs)
        except (CapacityError, Unsupported):
            return 0
        return self.by_host[key]

    def _only(self, choice: Choice, chip: Device) -> OnlyHost:
        generates = spelled(choice, self.catalogue).compiler.fallback == "generated"
        teach = library_of(choice, self.catalogue, self.dtype(choice, chip)).teaches
        return OnlyHost(chip, listed(choice, self.catalogue), generates, teach)

    def _known(
        self, choice: Choice, chip: Device, known: dict[Hashable, Timed | EmuError]
    ) -> Timed | EmuError:
        """The time of a program, worked out once for each of the two ways; the best is for both."""
        try:
            key = self._key(choice, chip)
        except Unsupported as error:
            return error
        if key in self.timed:
            return self.timed[key]
        if key not in known:
            known[key] = self._time(choice, chip, key, known is self.on_all_cores)
        return known[key]

    def _key(self, choice: Choice, chip: Device) -> Hashable:
        """What the time of a program follows from; raises Unsupported without an element type."""
        going_on = dispatch_us(choice) if self.source.reads else 0.0
        as_graph = replays(choice, self.catalogue, chip)
        dtype = self.dtype(choice, chip)
        return *_program(choice, self.catalogue, dtype), dtype, chip, going_on, as_graph

    def bounds(self, ps: int, choice: Choice, like: Part) -> tuple[Fraction, Fraction]:
        """Between which times a run of ``ps`` lies on its chip with the peaks of ``like``.

        Each term of a run is a rate of the clock or of the memory, or does not change.
        """
        ours, theirs = self.sheet(choice["device"][0]), self.sheet(like)
        factors = (Fraction(1), peak(theirs) / peak(ours), bandwidth(theirs) / bandwidth(ours))
        return ps / max(factors), ps / min(factors)

    def _time(
        self, choice: Choice, chip: Device, key: Hashable, all_cores: bool
    ) -> Timed | EmuError:
        try:
            segments = self.planned(choice, chip, all_cores=all_cores)
        except (CapacityError, Unsupported) as error:
            return error
        if not all_cores:
            self.programs[key] = segments
        return timed(segments, chip, dispatch_us(choice))

    def planned(
        self, choice: Choice, chip: Device, source: Source | None = None, all_cores: bool = False
    ) -> tuple[Segment, ...]:
        """What a choice of parts computes on a chip, each piece that it captures compiled apart.

        A ``source`` stands for that of the laboratory. Raises CapacityError or Unsupported.
        """
        source = source or self.source
        pieces = zip(source.segments(), self._lowered(choice, chip, source), strict=True)
        stack = self.stack(choice, chip)
        if all_cores and stack.compiler.decider == "priority":
            stack = replace(stack, compiler=replace(stack.compiler, scope="none"))
        library = library_of(choice, self.catalogue, self.dtype(choice, chip))
        segments: list[Segment] = []
        for captured, graph in pieces:
            best = fastest(graph, stack, chip, Watch(), library=library, all_cores=all_cores)
            segments.append(_segment(captured, graph, best, source))
        return tuple(segments)

    def _lowered(self, choice: Choice, chip: Device, source: Source) -> tuple[Graph, ...]:
        """The graph of each piece as the chip computes it; those of the own source made once."""
        if source is not self.source:
            graphs = _in_dtype(source, *self._typing(choice, chip), chip)
            return self._laid_out(choice, chip, graphs)
        key = self._key(choice, chip)
        if key not in self.lowered:
            self.lowered[key] = self._laid_out(choice, chip, self._typed(choice, chip))
        return self.lowered[key]

    def _typed(self, choice: Choice, chip: Device) -> tuple[Graph, ...]:
        """The pieces of the own source after all passes, row-major; equal ones are made once."""
        key = self._typing(choice, chip)
        if key not in self.typed:
            self.typed[key] = _in_dtype(self.source, *key, chip)
        return self.typed[key]

    def _typing(self, choice: Choice, chip: Device) -> tuple[tuple[str, ...], str]:
        """The passes of a stack, and the element type that it computes in."""
        return spelled(choice, self.catalogue).compiler.passes, self.dtype(choice, chip)

    def dtype(self, choice: Choice, chip: Device) -> str:
        """What a program is computed in: what its source asks for, or what the stack computes in.

        Raises Unsupported if there is none.
        """
        return self.source.dtype or dtype_of(choice["kernels"], chip)

    def _laid_out(
        self, choice: Choice, chip: Device, graphs: tuple[Graph, ...]
    ) -> tuple[Graph, ...]:
        layout = spelled(choice, self.catalogue).compiler.layout
        library = library_of(choice, self.catalogue, self.dtype(choice, chip))
        return tuple(lay_out(graph, layout, library, chip, Watch()) for graph in graphs)

    def stack(self, choice: Choice, chip: Device) -> Stack:
        """The stack that a choice of parts stands for on a chip."""
        stack = spelled(choice, self.catalogue)
        graphs = "on" if replays(choice, self.catalogue, chip) else "off"
        return replace(stack, compiler=replace(stack.compiler, graph_replay=graphs))

    def sheet(self, device: Part) -> Datasheet:
        """The datasheet of a device; a file is read once."""
        name = device.fact("datasheet")
        if name not in self.sheets:
            self.sheets[name] = load_datasheet(name)
        return self.sheets[name]

    def chip(
        self, choice: Choice, like: Part | None = None, sheet: Datasheet | None = None
    ) -> Device:
        """The chip of a stack, or of a ``sheet``; a launch takes what the front end needs too."""
        own = sheet or self.sheet(choice["device"][0])
        if like is not None:
            own = scaled(own, self.sheet(like))
        issue_us = own.launch.issue_us + _overhead(choice)
        # A given sheet may have other facts under the same name.
        key = sheet or own.name, like and like.fact("datasheet"), issue_us
        if key not in self.chips:
            launch = replace(own.launch, issue_us=issue_us)
            self.chips[key] = device_of(replace(own, launch=launch))
        return self.chips[key]


def _segment(captured: Graph, graph: Graph, best: Planned, source: Source) -> Segment:
    """A piece that was captured, with its commands and what the host reads of it."""
    _, schedule, program = best
    read = [value for value in source.reads if value in captured.outputs]
    own = frozenset((*source.graph.inputs, *source.graph.outputs))
    return Segment(graph, schedule, reading(program, read, graph) if read else program, own)


def _overhead(choice: Choice) -> float:
    """Microseconds that an eager front end needs to dispatch one op."""
    front = choice["front_end"][0]
    return front.fact("dispatch_us") if front.fact("mode") == "eager" else 0.0


def dispatch_us(choice: Choice) -> float:
    """Microseconds that a front end needs to go on with what it captured after a read.

    None where it dispatches op by op, which each launch has in it.
    """
    front = choice["front_end"][0]
    return 0.0 if front.fact("mode") == "eager" else front.fact("dispatch_us")


def _program(choice: Choice, catalogue: Catalogue, dtype: str) -> tuple[Stack, Library]:
    """What a program in an element type follows from, besides the chip; names do not matter."""
    library = replace(library_of(choice, catalogue, dtype), name="", about="")
    return replace(spelled(choice, catalogue), kernels=""), library


def _in_dtype(
    source: Source, passes: tuple[str, ...], dtype: str, chip: Device
) -> tuple[Graph, ...]:
    passed = (run_passes(graph, passes) for graph in source.segments())
    return tuple(in_dtype(graph, dtype, chip, Watch(), None) for graph in passed)


def spelled(choice: Choice, catalogue: Catalogue) -> Stack:
    """The stack that the parts of a choice stand for, with launches issued one by one.

    What no kernel claims whole is composed of what kernels do claim, unless a compiler makes code.
    """
    front, compiler = choice["front_end"][0], choice["compiler"][0]
    eager = front.fact("mode") == "eager"
    makes_code = not eager and instead(choice["compiler"], catalogue) == "codegen"
    return Stack(
        Compiler(
            passes=() if eager else tuple(compiler.fact("passes")),
            scope="none" if eager else compiler.fact("scope"),
            decider="first-match" if eager else compiler.fact("decider"),
            trials=0 if eager else compiler.fact("trials"),
            fallback="generated" if makes_code else "composed",
        ),
        kernels=choice["kernels"][0].fact("depth"),
        device=Chip(choice["device"][0].fact("datasheet")),
    )


def scaled(sheet: Datasheet, like: Datasheet) -> Datasheet:
    """A chip with the shape of ``sheet`` and the peaks of ``like``: rates, bandwidth, capacity.

    So that the size of the silicon is not called lock-in.
    """
    ours, theirs = sheet.memory.dram, like.memory.dram
    dram = replace(ours, bandwidth_gb_s=theirs.bandwidth_gb_s, capacity_gib=theirs.capacity_gib)
    factor = peak(like) / peak(sheet)
    clock = float(Fraction(str(sheet.compute.clock_mhz)) * factor)
    compute = replace(sheet.compute, clock_mhz=clock)
    return replace(sheet, compute=compute, memory=replace(sheet.memory, dram=dram))


def peak(sheet: Datasheet) -> Fraction:
    """Operations per microsecond of all cores in the element type that the chip is fastest in."""
    rates = [r for unit in sheet.compute.units for r in unit.flops_per_cycle_per_core.values()]
    compute = sheet.compute
    return Fraction(str(max(rates))) * compute.cores * Fraction(str(compute.clock_mhz))


def bandwidth(sheet: Datasheet) -> Fraction:
    """Gigabytes per second of the device memory."""
    return Fraction(str(sheet.memory.dram.bandwidth_gb_s))
