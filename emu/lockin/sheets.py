"""The datasheets that chips of a catalogue can name: emu's own, and files beside a stack."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from emu.devices.datasheet import device_names, load_datasheet
from emu.devices.fields import At
from emu.ir.errors import CatalogueError
from emu.lockin.parts import Part

SHEETS = "datasheets"  # the folder of a user's own


def sheets(own: Iterable[Path]) -> Mapping[str, str]:
    """For each name what ``load_datasheet`` takes; the user's ``own`` are files.

    Raises CatalogueError for one with the name of another, DatasheetError for one that is none.
    """
    known = {name: name for name in device_names()}
    for path in own:
        if path.stem in known:
            at = At(str(path), refusal=CatalogueError).to("name")
            raise at.error(f"'{path.stem}' is the name of a device of emu too")
        load_datasheet(path)
        known[path.stem] = str(path)
    return known


def with_sheet(device: Part, known: Mapping[str, str]) -> Part:
    """A chip with what its datasheet is loaded by; raises CatalogueError if there is none."""
    fact = device.facts["datasheet"]
    if fact.value not in known:
        at = At(str(device.path), refusal=CatalogueError).to("facts").to("datasheet")
        raise at.error(f"must be one of {', '.join(known)}, not {fact.value!r}")
    found = replace(fact, value=known[fact.value])
    return replace(device, facts={**device.facts, "datasheet": found})
