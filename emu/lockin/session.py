"""Running a stack for real, several times: what compiler and driver compiled is kept by shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from emu.devices.device import Device
from emu.devices.driver.shape_cache import ShapeCache
from emu.ir.body import Body
from emu.ir.errors import NoKernel
from emu.ir.program import Launch
from emu.ir.tile import TileProgram
from emu.ir.types import Array, TensorType
from emu.kernels.libraries import LIBRARIES
from emu.lockin.bundles import owner
from emu.lockin.compiling import dispatch_us
from emu.lockin.parts import Choice
from emu.lockin.playing import Playing
from emu.lockin.segments import Segment, timed
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory

GENERATED = LIBRARIES["generated"]


@dataclass(frozen=True)
class Ran:
    """One run: outputs (None without values), calls by part and function, and what was compiled.

    ``compiles`` are programs that the compiler made of a shape it had not met, ``recompiles`` what
    the driver made of portable sections. ``ledger`` is that of the warm run with both of this one
    on top, charged to the host.
    """

    outputs: Mapping[str, Any]
    calls: Mapping[str, Mapping[str, int]]
    compiles: int
    recompiles: int
    ledger: Mapping[str, int]
    copied_bytes: Mapping[str, int]


@dataclass(frozen=True)
class Shape:
    """The types of what a program is given, by which it is compiled."""

    types: tuple[TensorType, ...]
    source: Source = field(compare=False, repr=False)

    @classmethod
    def of(cls, source: Source) -> "Shape":
        """The shape of a source program whose dimensions are bound."""
        return cls(tuple(source.graph.types[name] for name in source.graph.inputs), source)


@dataclass(eq=False)
class Session:
    """A stack with one source program, and what compiler and driver have compiled so far.

    Raises the refusal of the first contract that the stack breaks, and CapacityError or Unsupported
    if the program cannot be.
    """

    choice: Choice
    laboratory: Laboratory
    cache: ShapeCache[Body, TileProgram] = field(init=False)
    programs: ShapeCache[Shape, tuple[Segment, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Execute the contracts; nothing is opened for a stack that breaks one."""
        refused = self.laboratory.refusal(self.choice)
        if refused is not None:
            raise refused.error
        self.cache = ShapeCache(lambda body: generated(body, self.chip))
        self.programs = ShapeCache(
            lambda shape: self.laboratory.planned(self.choice, self.chip, shape.source)
        )

    @cached_property
    def chip(self) -> Device:
        """The chip, with what the front end needs per launch."""
        return self.laboratory.chip(self.choice)

    @property
    def compiles_late(self) -> bool:
        """Whether the compiler meets shapes only when it runs; without one nothing is compiled."""
        eager = self.choice["front_end"][0].fact("mode") == "eager"
        return bool(self.laboratory.source.symbols) and not eager

    def segments(self, size: int | None = None) -> tuple[Segment, ...]:
        """What is run of a size of the open dimension, that of the source if none is said.

        It is compiled when first met. Raises DynamicShape for another size if the program leaves no
        dimension open.
        """
        source = self.laboratory.source
        bound = source if size is None else source.of_size(size)
        return self.programs(Shape.of(bound))

    def run(self, inputs: Mapping[str, Array] | None = None, size: int | None = None) -> Ran:
        """Run the program once; without ``inputs`` only the calls are made, and no value is."""
        met, missed = self.programs.misses, self.cache.misses
        segments = self.segments(size)
        compile = partial(self._compile, self._of_libraries(segments))
        catalogue, outputs = self.laboratory.catalogue, self.laboratory.source.graph.outputs
        played = Playing(segments, self.choice, catalogue, self.chip, compile).play(outputs, inputs)
        compiles = self.programs.misses - met if self.compiles_late else 0
        recompiles = self.cache.misses - missed
        ledger = self._ledger(segments, compiles + recompiles)
        return Ran(played.outputs, played.calls, compiles, recompiles, ledger, played.copied_bytes)

    def _compile(self, known: Mapping[Body, TileProgram], body: Body) -> TileProgram:
        """What the driver makes of a portable body: the library's program, or its own."""
        return known.get(body) or self.cache(body)

    def _of_libraries(self, segments: Sequence[Segment]) -> Mapping[Body, TileProgram]:
        commands = (command for segment in segments for command in segment.program.commands)
        launches = [command for command in commands if isinstance(command, Launch)]
        kernels = self.choice["kernels"]
        return {c.body: c.program for c in launches if owner(kernels, c.kernel) is not None}

    def _ledger(self, segments: Sequence[Segment], compiled: int) -> dict[str, int]:
        """The warm run, and ``compiled`` times what the compiler needs for a shape."""
        warm = timed(segments, self.chip, dispatch_us(self.choice))
        each_us: float = max(p.fact("recompile_us") for p in self.choice["compiler"])
        host = warm.by_cause["host"] + compiled * round(each_us * 1_000_000)
        return {**warm.by_cause, "host": host}


def generated(body: Body, chip: Device) -> TileProgram:
    """The first program of emu's own generator for a body; raises NoKernel if there is none."""
    for kernel in GENERATED.kernels:
        if kernel.refusal(body) is None:
            for _, program in GENERATED.programs(kernel, body, chip.machine):
                return program
    raise NoKernel(f"driver: no kernel can be generated for {', '.join(n.op for n in body.nodes)}")
