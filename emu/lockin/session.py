"""Running a stack for real: its program goes through the functions that its drivers export.

What a run calls is counted by the handles that the parts opened, so that it is known, and not
assumed, which of them took part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from emu.devices.device import Device
from emu.devices.driver.context import Context
from emu.devices.driver.runtime import Caller, Player
from emu.devices.driver.shape_cache import ShapeCache
from emu.fastest import Planned
from emu.ir.body import Body
from emu.ir.errors import NoKernel
from emu.ir.graph import Graph
from emu.ir.program import HostCall, Launch, Program
from emu.ir.tile import TileProgram
from emu.ir.trace import Trace
from emu.ir.types import Array
from emu.kernels.fast import fast_body
from emu.kernels.libraries import LIBRARIES
from emu.lockin.bundles import owner
from emu.lockin.contracts.images import image_for
from emu.lockin.contracts.linking import compiled_code, opened
from emu.lockin.parts import Choice, Part
from emu.lockin.trial import Laboratory

ALIGNMENT_BYTES = 256  # what drivers promise of the address of an allocation
GENERATED = LIBRARIES["generated"]


@dataclass(frozen=True)
class Ran:
    """One run: outputs (None without values), calls by part and function, and what was compiled.

    ``ledger`` is that of the warm run with the recompiles of this one on top, charged to the host.
    """

    outputs: Mapping[str, Any]
    calls: Mapping[str, Mapping[str, int]]
    recompiles: int
    ledger: Mapping[str, int]
    copied_bytes: Mapping[str, int]


@dataclass(eq=False)
class Session:
    """A stack with one program, and what its driver has compiled so far.

    Raises the refusal of the first contract that the stack breaks, and CapacityError or Unsupported
    if the program cannot be.
    """

    choice: Choice
    laboratory: Laboratory
    cache: ShapeCache = field(init=False)

    def __post_init__(self) -> None:
        """Execute the contracts; nothing is opened for a stack that breaks one."""
        refused = self.laboratory.refusal(self.choice)
        if refused is not None:
            raise refused.error
        self.cache = ShapeCache(lambda body: generated(body, self.chip))

    @cached_property
    def chip(self) -> Device:
        """The chip, with what the front end needs per launch."""
        return self.laboratory.chip(self.choice)

    @cached_property
    def planned(self) -> tuple[Graph, Planned]:
        """The graph as the chip computes it, and its program."""
        return self.laboratory.planned(self.choice, self.chip)

    @cached_property
    def trace(self) -> Trace:
        """The warm run on the simulated clock."""
        return self.chip.simulate(self.planned[1][2])

    def run(self, inputs: Mapping[str, Array] | None = None) -> Ran:
        """Run the program once; without ``inputs`` only the calls are made, and no value is."""
        graph, (_, _, program) = self.planned
        missed = self.cache.misses
        data, loader = image_for(program, self.choice, self.laboratory.catalogue, self._compile)
        room = self.chip.machine.device_bytes, ALIGNMENT_BYTES
        context = Context(room, loader, _nothing if inputs is None else _values)
        callers = self._callers(context)
        player = Player(
            program,
            lambda launch: self._caller(launch, callers),
            callers[None],
            _absent(graph) if inputs is None else {**_constants(graph), **inputs},
            _nothing if inputs is None else _values,
        )
        outputs = player.play(data)
        calls = {p.name if p else "compiled code": dict(c.handle.calls) for p, c in callers.items()}
        recompiles = self.cache.misses - missed
        return Ran(outputs, calls, recompiles, self._ledger(recompiles), dict(context.copied))

    def _callers(self, context: Context) -> dict[Part | None, Caller]:
        """Who calls the driver: each library and runtime, and compiled code under None."""
        catalogue = self.laboratory.catalogue
        found = opened(self.choice, catalogue, context.submit)
        code = compiled_code(self.choice, catalogue, found, context.submit)
        return {None: code, **found}

    def _caller(self, launch: Launch, callers: Mapping[Part | None, Caller]) -> Caller:
        """Who launches a kernel: the first library that has it, or compiled code."""
        return callers[owner(self.choice["kernels"], launch.kernel)]

    def _compile(self, body: Body) -> TileProgram:
        """What the driver makes of a portable body: the library's program, or its own."""
        return self._of_libraries.get(body) or self.cache(body)

    @cached_property
    def _of_libraries(self) -> Mapping[Body, TileProgram]:
        program: Program = self.planned[1][2]
        launches = [c for c in program.commands if isinstance(c, Launch)]
        kernels = self.choice["kernels"]
        return {c.body: c.program for c in launches if owner(kernels, c.kernel) is not None}

    def _ledger(self, recompiles: int) -> dict[str, int]:
        each_us: float = max(p.fact("recompile_us") for p in self.choice["compiler"])
        ledger = dict(self.trace.ledger)
        ledger["host"] = ledger.get("host", 0) + recompiles * round(each_us * 1_000_000)
        return ledger


def generated(body: Body, chip: Device) -> TileProgram:
    """The first program of emu's own generator for a body; raises NoKernel if there is none."""
    for kernel in GENERATED.kernels:
        if kernel.refusal(body) is None:
            for _, program in GENERATED.programs(kernel, body, chip.machine):
                return program
    raise NoKernel(f"driver: no kernel can be generated for {', '.join(n.op for n in body.nodes)}")


def _absent(graph: Graph) -> dict[str, None]:
    """What lies on the device before a run, without its contents."""
    return dict.fromkeys((*graph.constants, *graph.inputs))


def _constants(graph: Graph) -> dict[str, Array]:
    return {name: constant.load() for name, constant in graph.constants.items()}


def _values(command: Launch | HostCall, ins: Sequence[Any]) -> Sequence[Any]:
    return fast_body(command.body, list(ins))


def _nothing(command: Launch | HostCall, ins: Sequence[Any]) -> Sequence[Any]:
    del ins
    return [None] * len(command.outs)
