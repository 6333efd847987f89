"""What was priced although it does not fit the device, in the words of every output."""

from dataclasses import dataclass

from emu.run import Compiled


@dataclass(frozen=True)
class Excess:
    """The bytes that a run needs at once, and the fewer that the device has."""

    needed_bytes: int
    device_bytes: int

    def __str__(self) -> str:
        needed, has = (f"{count / 1e9:,.1f} GB" for count in (self.needed_bytes, self.device_bytes))
        return f"does not fit: needs {needed} of {has}; priced over capacity"


def excess_of(compiled: Compiled) -> Excess | None:
    """What a run needs beyond the memory of its device, None if it fits."""
    has = compiled.stack.device.make().machine.device_bytes
    needed = compiled.trace.peak_device_bytes
    return Excess(needed, has) if needed > has else None
