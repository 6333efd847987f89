"""Damaged TOML files: every one is refused in one line that names the file, or is taken."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from emu.devices.datasheet import FOLDER as DATASHEETS
from emu.devices.datasheet import load_datasheet
from emu.ir.errors import CatalogueError, DatasheetError
from emu.lockin.catalogue import LARGEST_FILE, load_catalogue
from emu.lockin.parts import SLOTS
from emu.lockin.prices import PRICES, load_prices
from tests.emu.lockin.small import INTERFACES, PARTS, Table, changed, offer, write
from tests.mutating import refusal, text_of

EACH = 600
OFFERS = [offer("isa-b")]
NEEDED = {name: INTERFACES[name] for name in ("isa-b", "nchw")}


def _catalogue(folder: Path) -> object:
    load_catalogue.cache_clear()
    return load_catalogue(folder)


def _prices(path: Path) -> object:
    load_prices.cache_clear()
    return load_prices(path)


def fuzzed(path: Path, read: Callable[[], object], seed: int, count: int = EACH) -> list[str]:
    """What a reader says of a file when it is damaged, in one line each."""
    source, random, said = path.read_text(), Random(seed), list[str]()
    for _ in range(count):
        path.write_text(text_of(source, random))
        said.append(refusal(read))
    return said


@pytest.mark.parametrize("slot", SLOTS)
def test_damaged_parts_are_refused_by_file(tmp_path: Path, slot: str) -> None:
    name = next(name for name, part in PARTS.items() if part["slot"] == slot)
    parts = changed(PARTS, name, imports=OFFERS, exports=OFFERS)
    folder = write(tmp_path, NEEDED, {name: parts[name]}, {})
    file = folder / slot / f"{name}.toml"
    said = fuzzed(file, lambda: _catalogue(folder), SLOTS.index(slot))
    assert all(str(file) in line for line in said if line)
    assert sum(map(bool, said)) > EACH // 2


@pytest.mark.parametrize("name", NEEDED)
def test_damaged_interfaces_are_refused_by_file(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, {name: INTERFACES[name]}, {}, {})
    file = folder / "interfaces" / f"{name}.toml"
    said = fuzzed(file, lambda: _catalogue(folder), 7)
    assert all(str(file) in line for line in said if line)


def test_damaged_stacks_are_refused_by_file(tmp_path: Path) -> None:
    names = [next(n for n, part in PARTS.items() if part["slot"] == slot) for slot in SLOTS]
    nothing: list[Table] = []
    parts: dict[str, Table] = {
        n: {**PARTS[n], "imports": nothing, "exports": nothing} for n in names
    }
    slots = {slot: [name] for slot, name in zip(SLOTS, names, strict=True)}
    folder = write(tmp_path, NEEDED, parts, {"one": {"about": "one", "slots": slots}})
    file = folder / "stacks" / "one.toml"
    said = fuzzed(file, lambda: _catalogue(folder), 8, 300)
    assert all(str(file) in line for line in said if line)


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_damaged_datasheets_are_refused_by_file(tmp_path: Path, device: str) -> None:
    file = tmp_path / f"{device}.toml"
    file.write_text((DATASHEETS / file.name).read_text())
    said = fuzzed(file, lambda: load_datasheet(file), 9)
    assert all(str(file) in line for line in said if line)


def test_damaged_prices_are_refused_by_file(tmp_path: Path) -> None:
    file = tmp_path / "cost.toml"
    file.write_text(PRICES.read_text())
    said = fuzzed(file, lambda: _prices(file), 10)
    assert all(str(file) in line for line in said if line)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path, {"isa-b": INTERFACES["isa-b"]}, {}, {})
    with (folder / "interfaces" / "isa-b.toml").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(CatalogueError, match=f"is larger than {LARGEST_FILE:,} bytes"):
        _catalogue(folder)
    sheet, prices = tmp_path / "sheet.toml", tmp_path / "cost.toml"
    for path in (sheet, prices):
        with path.open("wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(DatasheetError, match="has at most"):
        load_datasheet(sheet)
    with pytest.raises(CatalogueError, match="is larger than"):
        _prices(prices)
