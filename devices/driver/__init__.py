"""The driver: plans memory, writes the device binary, and checks it when it loads it."""

from emu.devices.driver.capture import captured, one_by_one
from emu.devices.driver.container import Image, encode
from emu.devices.driver.isa import Isa
from emu.devices.driver.loader import Loader, load
from emu.devices.driver.planner import plan
from emu.devices.driver.residency import keep_on_chip

__all__ = [
    "Image",
    "Isa",
    "Loader",
    "captured",
    "encode",
    "keep_on_chip",
    "load",
    "one_by_one",
    "plan",
]
