"""What the parts of a stack compile a source program to; equal programs have one number."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from emu.devices.datasheet import Datasheet
from emu.devices.device import Device
from emu.devices.make import device_of
from emu.dtype import in_dtype
from emu.dump import Watch
from emu.fastest import Planned, fastest, quick_plan
from emu.ir.errors import Unsupported
from emu.ir.graph import Graph
from emu.ir.passes import run_passes
from emu.kernels.library import Library
from emu.layouts import lay_out
from emu.lockin.bundles import Asked, asked_of, dtype_of, library, library_of
from emu.lockin.contracts.kernels import instead
from emu.lockin.partitions import datasheet_of, partition_of, runs_on
from emu.lockin.parts import Bundle, Catalogue, Choice
from emu.lockin.peaks import scaled
from emu.lockin.replays import program_slots, replays
from emu.lockin.segments import Segment, reading
from emu.lockin.source import Source
from emu.stack import Chip, Compiler, Stack

Compiled = tuple[Segment, ...]


@dataclass(eq=False)
class Compiling:
    """Compiles one source program for stacks of parts."""

    catalogue: Catalogue
    source: Source
    numbers: dict[Hashable, int] = field(default_factory=dict[Hashable, int])
    keys: dict[int, Hashable] = field(default_factory=dict[int, Hashable])
    numbered: dict[Hashable, int | Unsupported] = field(
        default_factory=dict[Hashable, int | Unsupported]
    )
    sheets: dict[Hashable, Datasheet] = field(default_factory=dict[Hashable, Datasheet])
    chips: dict[Hashable, Device] = field(default_factory=dict[Hashable, Device])
    typed: dict[Hashable, tuple[Graph, ...]] = field(
        default_factory=dict[Hashable, tuple[Graph, ...]]
    )
    ops: dict[Hashable, frozenset[str]] = field(default_factory=dict[Hashable, frozenset[str]])
    lowered: dict[Hashable, tuple[Graph, ...]] = field(
        default_factory=dict[Hashable, tuple[Graph, ...]]
    )

    def program(self, choice: Choice) -> int | None:
        """The number of the program of a stack, equal for equal programs; None if it has none."""
        number = self.known_number(choice)
        return None if isinstance(number, Unsupported) else number

    def number(self, choice: Choice) -> int:
        """The number of the program of a stack; raises Unsupported if it has none."""
        number = self.known_number(choice)
        if isinstance(number, Unsupported):
            raise number.with_traceback(None)
        return number

    def known_number(self, choice: Choice) -> int | Unsupported:
        """The same, or why there is none, by the slots that it follows from."""
        slots = program_slots(choice["compiler"], choice["orchestrator"])
        parts = self.catalogue, *(choice[slot] for slot in slots)
        if parts not in self.numbered:
            try:
                key = self._key(choice, self.chip(choice))
                self.numbered[parts] = self.numbers.setdefault(key, len(self.numbers))
                self.keys.setdefault(self.numbers[key], key)
            except Unsupported as error:
                self.numbered[parts] = error
        return self.numbered[parts]

    def _key(self, choice: Choice, chip: Device) -> Hashable:
        """What the time of a program follows from; raises Unsupported without an element type.

        All of it has a digest, which is the same in every process.
        """
        going_on = dispatch_us(choice) if self.source.reads else 0.0
        as_graph = replays(choice, self.catalogue, chip)
        stack = replace(spelled(choice, self.catalogue), kernels="")  # names do not matter
        issue_us, asked = chip.sheet.launch.issue_us, self.asked(choice, chip)
        partition = partition_of(choice)
        return stack, asked, self.dtype(choice, chip), partition, issue_us, going_on, as_graph

    def library(self, choice: Choice, chip: Device, source: Source) -> Library:
        """The kernels of a stack: of the own source, those that could take anything of it."""
        if source is not self.source:
            return library_of(choice, self.catalogue, self.dtype(choice, chip))
        return library(self.asked(choice, chip))

    def asked(self, choice: Choice, chip: Device) -> tuple[Asked, ...]:
        """What the own source could ask each library of a stack for."""
        typing = self._typing(choice, chip)
        if typing not in self.ops:
            graphs = self.pieces(choice, chip)
            self.ops[typing] = frozenset(node.op for graph in graphs for node in graph.nodes)
        return asked_of(choice, self.catalogue, typing[1], self.ops[typing])

    def planned(
        self,
        choice: Choice,
        chip: Device,
        source: Source | None = None,
        worth_ps: int | None = None,
    ) -> Compiled:
        """What a choice of parts computes on a chip, each piece that it captures compiled apart.

        A ``source`` stands for that of the laboratory. With ``worth_ps`` numbers of cores on which
        no run can be that fast are left out. Raises CapacityError or Unsupported.
        """
        source = source or self.source
        stack, library = self.stack(choice, chip), self.library(choice, chip, source)
        return self._segments(
            choice,
            chip,
            source,
            lambda graph: fastest(graph, stack, chip, Watch(), None, library, worth_ps),
        )

    def quickly(self, choice: Choice, chip: Device, tiling: str) -> Compiled:
        """A program of a choice of parts that is quick to find, as ``quick_plan`` has it.

        Raises CapacityError or Unsupported.
        """
        stack, library = self.stack(choice, chip), self.library(choice, chip, self.source)
        return self._segments(
            choice, chip, self.source, lambda graph: quick_plan(graph, stack, chip, library, tiling)
        )

    def _segments(
        self, choice: Choice, chip: Device, source: Source, plan: Callable[[Graph], Planned]
    ) -> Compiled:
        """The pieces of a source, each planned as the chip computes it."""
        pieces = zip(source.segments(), self._lowered(choice, chip, source), strict=True)
        return tuple(_segment(captured, graph, plan(graph), source) for captured, graph in pieces)

    def _lowered(self, choice: Choice, chip: Device, source: Source) -> tuple[Graph, ...]:
        """The graph of each piece as the chip computes it; those of the own source made once."""
        if source is not self.source:
            graphs = _in_dtype(source, *self._typing(choice, chip), chip)
            return self._laid_out(choice, chip, graphs, source)
        layout = spelled(choice, self.catalogue).compiler.layout
        # What a launch costs, or how many cores there are, makes no difference to layouts.
        key = layout, self._typing(choice, chip), self.asked(choice, chip), chip.name
        if key not in self.lowered:
            self.lowered[key] = self._laid_out(choice, chip, self.pieces(choice, chip), source)
        return self.lowered[key]

    def pieces(self, choice: Choice, chip: Device) -> tuple[Graph, ...]:
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
        self, choice: Choice, chip: Device, graphs: tuple[Graph, ...], source: Source
    ) -> tuple[Graph, ...]:
        layout = spelled(choice, self.catalogue).compiler.layout
        library = self.library(choice, chip, source)
        return tuple(lay_out(graph, layout, library, chip, Watch()) for graph in graphs)

    def stack(self, choice: Choice, chip: Device) -> Stack:
        """The stack that a choice of parts stands for on a chip."""
        stack = spelled(choice, self.catalogue)
        graphs = "on" if replays(choice, self.catalogue, chip) else "off"
        return replace(stack, compiler=replace(stack.compiler, graph_replay=graphs))

    def sheet(self, choice: Choice) -> Datasheet:
        """The datasheet of what a stack runs on, a chip or a partition of one; read once."""
        key = runs_on(choice)
        if key not in self.sheets:
            self.sheets[key] = datasheet_of(*key)
        return self.sheets[key]

    def chip(
        self, choice: Choice, like: Choice | None = None, sheet: Datasheet | None = None
    ) -> Device:
        """The chip of a stack, or of a ``sheet``; a launch takes what the front end needs too."""
        own = sheet or self.sheet(choice)
        if like is not None:
            own = scaled(own, self.sheet(like))
        issue_us = own.launch.issue_us + _overhead(choice)
        # A given sheet may have other facts under the same name.
        key = sheet or runs_on(choice), like and runs_on(like), issue_us
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


def _in_dtype(
    source: Source, passes: tuple[str, ...], dtype: str, chip: Device
) -> tuple[Graph, ...]:
    passed = (run_passes(graph, passes) for graph in source.segments())
    return tuple(in_dtype(graph, dtype, chip, Watch(), None) for graph in passed)


def spelled(choice: Choice, catalogue: Catalogue) -> Stack:
    """The stack that the parts of a choice stand for, with launches issued one by one.

    What no kernel claims whole is composed of what kernels do claim, unless a compiler makes code.
    """
    slots = choice["front_end"], choice["compiler"], choice["kernels"], choice["device"]
    return _spelled(*slots, catalogue)


@lru_cache(maxsize=65536)
def _spelled(
    fronts: Bundle, compilers: Bundle, kernels: Bundle, devices: Bundle, catalogue: Catalogue
) -> Stack:
    compiler, eager = compilers[0], fronts[0].fact("mode") == "eager"
    makes_code = not eager and instead(compilers, catalogue) == "codegen"
    return Stack(
        Compiler(
            passes=() if eager else tuple(compiler.fact("passes")),
            scope="none" if eager else compiler.fact("scope"),
            decider="first-match" if eager else compiler.fact("decider"),
            trials=0 if eager else compiler.fact("trials"),
            fallback="generated" if makes_code else "composed",
        ),
        kernels=kernels[0].fact("depth"),
        device=Chip(devices[0].fact("datasheet")),
    )
