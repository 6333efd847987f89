"""Playing a program through the functions that the drivers of a stack export.

What is called is counted by the handles that the parts opened, so that it is known, and not
assumed, which of them took part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emu.devices.device import Device
from emu.devices.driver.context import Context
from emu.devices.driver.runtime import Caller, Player, play
from emu.ir.errors import AbiMismatch
from emu.ir.graph import Graph
from emu.ir.program import HostCall, Launch
from emu.ir.types import Array
from emu.kernels.fast import fast_body
from emu.lockin.bundles import owner
from emu.lockin.contracts.images import Compile, image_for
from emu.lockin.contracts.linking import compiled_code, opened
from emu.lockin.parts import Catalogue, Choice, Part
from emu.lockin.segments import Segment

ALIGNMENT_BYTES = 256  # what drivers promise of the address of an allocation
ENDLESS = 1 << 62  # bytes of memory that nothing fills
Compute = Callable[[Launch | HostCall, Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class Played:
    """Outputs (None without values), calls by part and function, and who took part in them.

    Libraries that launched, drivers whose functions were called, and the chip that computed are
    ``called``; ``copied_bytes`` crossed the link to the device and to the host.
    """

    outputs: Mapping[str, Any]
    calls: Mapping[str, Mapping[str, int]]
    called: frozenset[Part]
    copied_bytes: Mapping[str, int]


@dataclass(frozen=True)
class Playing:
    """Segments of a program on the parts of a stack; ``compile`` is how portable code is made.

    The device memory has ``room_bytes``, those of the chip if None.
    """

    segments: tuple[Segment, ...]
    choice: Choice
    catalogue: Catalogue
    chip: Device
    compile: Compile
    room_bytes: int | None = None

    def play(self, outputs: Sequence[str], inputs: Mapping[str, Array] | None = None) -> Played:
        """Open the drivers, run all segments, close; without inputs no value is computed.

        Raises AbiMismatch, CapacityError, or what loading raises.
        """
        compute = _nothing if inputs is None else _values
        images = [
            image_for(segment.program, self.choice, self.catalogue, self.compile)
            for segment in self.segments
        ]
        room_bytes = self.room_bytes or self.chip.machine.device_bytes
        room, onchip_bytes = (room_bytes, ALIGNMENT_BYTES), self.chip.machine.onchip_bytes
        context = Context(room, images[0][1], compute, onchip_bytes)
        callers = self._callers(context)
        players = [
            Player(
                segment.program,
                data,
                lambda launch: self._caller(launch, callers),
                callers[None],
                _given(segment.graph, inputs),
                compute,
            )
            for segment, (data, _) in zip(self.segments, images, strict=True)
        ]
        made = play(players, outputs)
        calls = {p.name if p else "compiled code": dict(c.handle.calls) for p, c in callers.items()}
        return Played(made, calls, self._called(callers, context), dict(context.copied))

    def _callers(self, context: Context) -> dict[Part | None, Caller]:
        """Who calls the driver: each library and runtime, and compiled code under None."""
        found = opened(self.choice, self.catalogue, context.submit)
        code = compiled_code(self.choice, self.catalogue, found, context.submit)
        return {None: code, **found}

    def _caller(self, launch: Launch, callers: Mapping[Part | None, Caller]) -> Caller:
        """Who launches a kernel: the first library that has it, or compiled code.

        Raises AbiMismatch for a library that imports nothing to launch with.
        """
        library = owner(self.choice["kernels"], launch.kernel)
        if library not in callers:
            where = "" if library is None else f"{library.path}: imports: "
            what = f"{where}the library submits work"
            raise AbiMismatch(what, "no driver open", "a table of functions")
        return callers[library]

    def _called(self, callers: Mapping[Part | None, Caller], context: Context) -> frozenset[Part]:
        used = {part: caller.handle for part, caller in callers.items() if caller.handle.calls}
        owners = {handle.owner for handle in used.values()}
        drivers = [part for part in self.choice["driver"] if part.name in owners]
        libraries = [part for part in self.choice["kernels"] if part in used]
        chips = self.choice["device"] if context.launched else ()
        return frozenset((*drivers, *libraries, *chips))


def _given(graph: Graph, inputs: Mapping[str, Array] | None) -> Mapping[str, Any]:
    """What lies on the device before a run; without inputs nothing has contents."""
    if inputs is None:
        return dict.fromkeys((*graph.constants, *graph.inputs))
    constants = {name: constant.load() for name, constant in graph.constants.items()}
    return {**constants, **inputs}


def _values(command: Launch | HostCall, ins: Sequence[Any]) -> Sequence[Any]:
    return fast_body(command.body, list(ins))


def _nothing(command: Launch | HostCall, ins: Sequence[Any]) -> Sequence[Any]:
    del ins
    return [None] * len(command.outs)
