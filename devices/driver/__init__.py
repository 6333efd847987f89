"""The driver: plans memory, writes the device binary, and checks it when it loads it."""

from emu.devices.driver.check import check
from emu.devices.driver.container import decode, encode
from emu.devices.driver.planner import plan
from emu.ir.program import Program

__all__ = ["decode", "encode", "load", "plan"]


def load(data: bytes, isa: str) -> Program:
    """Return the program of a binary for a device of this ISA.

    Raises ContainerError, with field and offset, if the binary is damaged, refers to things that
    it does not have, or was made for another device.
    """
    return check(decode(data, isa))
