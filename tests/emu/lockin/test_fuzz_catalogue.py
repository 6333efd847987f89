"""Damaged TOML files: every one is refused in one line that names the file, or is taken."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from emu.devices.datasheet import FOLDER as DATASHEETS
from emu.devices.datasheet import load_datasheet
from emu.ir.errors import CatalogueError, DatasheetError
from emu.lockin.catalogue import load_catalogue, load_with
from emu.lockin.parts import SLOTS
from emu.lockin.prices import PRICES, load_prices
from emu.lockin.toml_file import LARGEST_FILE
from tests.emu.lockin.small import INTERFACES, PARTS, Table, changed, offer, write, write_file
from tests.mutating import refusal, text_of

EACH = 600
OFFERS = [offer("isa-b")]
NEEDED = {name: INTERFACES[name] for name in ("isa-b", "nchw", "dialect-a")}
FIRST = {slot: next(n for n, p in PARTS.items() if p["slot"] == slot) for slot in SLOTS}
Read = Callable[[], object]


def _catalogue(folder: Path) -> object:
    load_catalogue.cache_clear()
    return load_catalogue(folder)


def _prices(path: Path) -> object:
    load_prices.cache_clear()
    return load_prices(path)


def _part(folder: Path, slot: str) -> tuple[Path, Read]:
    name = FIRST[slot]
    parts = changed(PARTS, name, imports=OFFERS, exports=OFFERS)
    write(folder, NEEDED, {name: parts[name]}, {})
    return folder / slot / f"{name}.toml", lambda: _catalogue(folder)


def _interface(folder: Path, name: str) -> tuple[Path, Read]:
    write(folder, {name: INTERFACES[name]}, {}, {})
    return folder / "interfaces" / f"{name}.toml", lambda: _catalogue(folder)


def _parts_of_a_stack(folder: Path) -> dict[str, list[str]]:
    """Write a part for each slot that imports and exports nothing; return the slots of a stack."""
    nothing: list[Table] = []
    parts: dict[str, Table] = {
        n: {**PARTS[n], "imports": nothing, "exports": nothing} for n in FIRST.values()
    }
    write(folder, NEEDED, parts, {})
    return {slot: [name] for slot, name in FIRST.items()}


def _stack(folder: Path, kind: str) -> tuple[Path, Read]:
    shipped = folder / "shipped"
    table = {"name": "one", "about": "one", "slots": _parts_of_a_stack(shipped)}
    file = (shipped / "stacks" if kind == "shipped" else folder / "own") / "one.toml"
    write_file(file, table)
    if kind == "shipped":
        return file, lambda: _catalogue(shipped)
    return file, lambda: load_with([file], shipped)


def _sheet(folder: Path, device: str) -> tuple[Path, Read]:
    file = folder / f"{device}.toml"
    file.write_text((DATASHEETS / file.name).read_text())
    return file, lambda: load_datasheet(file)


def _cost(folder: Path, name: str) -> tuple[Path, Read]:
    file = folder / f"{name}.toml"
    file.write_text(PRICES.read_text())
    return file, lambda: _prices(file)


# Every kind of TOML file that emu reads of a stack: what makes one, and of which name.
FILES: tuple[tuple[Callable[[Path, str], tuple[Path, Read]], str], ...] = (
    *((_part, slot) for slot in SLOTS),
    *((_interface, name) for name in ("isa-b", "nchw", "calls-b", "manage-b")),
    *((_stack, kind) for kind in ("shipped", "own")),
    *((_sheet, device) for device in ("gpu", "systolic", "npu")),
    (_cost, "cost"),
)


def fuzzed(path: Path, read: Read, seed: int, count: int = EACH) -> Iterator[str]:
    """What a reader says of a file when it is damaged, in one line each that names the file."""
    source, random = path.read_text(), Random(seed)
    for _ in range(count):
        path.write_text(text_of(source, random))
        said = refusal(read)
        assert not said or str(path) in said
        yield said


@pytest.mark.parametrize("seed", range(len(FILES)))
def test_damaged_files_are_refused_by_file(tmp_path: Path, seed: int) -> None:
    make, name = FILES[seed]
    refused = sum(map(bool, fuzzed(*make(tmp_path, name), seed)))
    assert refused > EACH // 3


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
