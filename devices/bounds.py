"""Bounds on the time of runs that are quicker to find than the time."""

from emu.devices.device import Clock, Device
from emu.devices.host import call_ps
from emu.devices.queue import Queue
from emu.devices.terms import Settled
from emu.devices.tile_cost import Shares
from emu.ir.body import Body
from emu.ir.program import Copy, Launch, Program, Step
from emu.ir.tile import TileProgram


def least_host_ps(body: Body, chip: Device) -> int:
    """Picoseconds that a body takes the host at least: to issue it alone, or to compute it."""

    def least() -> int:
        issuing, _ = Queue(chip.sheet, frozenset()).launch()
        return min(issuing.ps, call_ps(body, chip.rates))

    return chip.memo(("least host", body), least)


def issued_ps(program: TileProgram, chip: Device) -> int:
    """Picoseconds that a launch takes at least once it is issued by itself."""
    _, starting = Queue(chip.sheet, frozenset()).launch()
    return starting.ps + chip.price(program)


def serial_ps(program: Program, chip: Device) -> int:
    """Picoseconds of all commands of a program, each begun when the one before it has ended.

    On a chip's own clock they take no longer: what begins earlier ends no later.
    """
    return chip.ran(program, _SerialClock(chip, frozenset())).last.ps


class _SerialClock(Clock):
    """The host waits for everything that it begins."""

    def launch(self, command: Launch, shares: Shares) -> None:
        """Issue a launch, and wait for as long as its program takes alone."""
        index, alone = command.index, Settled(self.device.price(command.program))
        _, starting = self.issue(index)
        self.host = self.host.after(starting, index).after(alone, index)

    def copy(self, command: Copy, owner: Step | None) -> None:
        """Begin a copy when the host has nothing else to do, and wait for it."""
        self.link = self.host
        super().copy(command, owner)
        self.wait()
