"""A program in segments: what a front end captures between two reads is compiled apart.

Nothing fuses over a read. The device finishes a segment, the value that the program reads crosses
the link, and the host dispatches the next segment; all else stays in device memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from emu.devices.bounds import serial_ps
from emu.devices.device import Device
from emu.ir.body import Body
from emu.ir.graph import Graph
from emu.ir.program import Copy, Launch, Program, Wait
from emu.ir.schedule import Schedule
from emu.ir.tile import TileProgram
from emu.ir.trace import CAUSES


@dataclass(frozen=True)
class Segment:
    """A piece of a program: its graph as the chip computes it, its kernels, and its commands.

    ``own`` are inputs and outputs of the whole program.
    """

    graph: Graph
    schedule: Schedule
    program: Program
    own: frozenset[str]

    @property
    def charged(self) -> Program:
        """The commands, where what is handed from segment to segment is an intermediate value."""
        ins = tuple(v for v in self.program.inputs if v in self.own)
        outs = tuple(v for v in self.program.outputs if v in self.own)
        return replace(self.program, inputs=ins, outputs=outs)


@dataclass(frozen=True)
class Timed:
    """Picoseconds of a warm run, what each cause took of them, and the kernels it launched."""

    ps: int = 0
    by_cause: Mapping[str, int] = field(default_factory=dict[str, int])
    launched: frozenset[str] = frozenset()


def reading(program: Program, values: Iterable[str], graph: Graph) -> Program:
    """The commands with a copy to the host, before they end, of each value that the chip made.

    What the host computed, or knew before, it reads where it is.
    """
    launches = [command for command in program.commands if isinstance(command, Launch)]
    made = {value for launch in launches for value in launch.outs}
    copies = tuple(
        Copy(value, "host", graph.types[value].bytes) for value in values if value in made
    )
    return replace(program, commands=(*program.commands[:-1], *copies, Wait()))


def timed(segments: Sequence[Segment], chip: Device, dispatch_us: float) -> Timed:
    """One after another on a chip; the host takes ``dispatch_us`` to go on after each read.

    The first segment is dispatched before the run begins, as that of an unbroken run is.
    """
    traces = [chip.simulate(segment.charged) for segment in segments]
    dispatch_ps = _dispatch_ps(segments, dispatch_us)
    ledger = {cause: sum(trace.ledger[cause] for trace in traces) for cause in CAUSES}
    ledger["launch"] += dispatch_ps
    total_ps = sum(trace.total_ps for trace in traces)
    return Timed(total_ps + dispatch_ps, ledger, launched(segments))


def latency_ps(segments: Sequence[Segment], chip: Device, dispatch_us: float) -> int:
    """How long that is, without what it is charged to."""
    ran_ps = sum(chip.latency_ps(segment.charged) for segment in segments)
    return ran_ps + _dispatch_ps(segments, dispatch_us)


def serially_ps(segments: Sequence[Segment], chip: Device, dispatch_us: float) -> int:
    """How long it would be if nothing overlapped."""
    ran_ps = sum(serial_ps(segment.program, chip) for segment in segments)
    return ran_ps + _dispatch_ps(segments, dispatch_us)


def _dispatch_ps(segments: Sequence[Segment], dispatch_us: float) -> int:
    """What the host takes to go on after all reads."""
    return (len(segments) - 1) * round(dispatch_us * 1_000_000)


def programs_of(segments: Sequence[Segment]) -> Mapping[Body, TileProgram]:
    """What each body that segments launch was compiled to."""
    commands = (command for segment in segments for command in segment.program.commands)
    return {c.body: c.program for c in commands if isinstance(c, Launch)}


def launched(segments: Sequence[Segment]) -> frozenset[str]:
    """Names of the kernels that segments launch."""
    commands = (command for segment in segments for command in segment.program.commands)
    return frozenset(c.kernel for c in commands if isinstance(c, Launch))
