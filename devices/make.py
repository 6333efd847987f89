"""From the name of a device to the chip."""

from functools import lru_cache
from pathlib import Path

from emu.devices.arrays import NATIVE, check_array_model
from emu.devices.cores import CoreDevice
from emu.devices.datasheet import Datasheet, load_datasheet
from emu.devices.device import Device
from emu.devices.facts import Changes
from emu.devices.gpu import GpuDevice
from emu.ir.errors import BadOption


def make_device(device: str | Path, array_model: str = NATIVE, changes: Changes = ()) -> Device:
    """Return the chip of a datasheet, by name or path of a TOML file; equal ones are made once.

    ``changes`` are other figures for keys of the datasheet.
    Raises UnknownName, DatasheetError, or BadOption for an array model on a chip without an array.
    """
    return device_of(load_datasheet(device, changes), check_array_model(array_model))


@lru_cache(maxsize=16)
def device_of(sheet: Datasheet, array_model: str = NATIVE) -> Device:
    """Return the chip that a datasheet describes."""
    if sheet.kind != "gpu":
        return CoreDevice(sheet, array_model)
    if array_model != NATIVE:
        raise BadOption(f"--array-model {array_model}: device '{sheet.name}' has no matrix array")
    return GpuDevice(sheet)
