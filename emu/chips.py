"""What datasheets say: the facts of all chips side by side, and all figures of one."""

import json as json_text
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, cast

from emu.devices.datasheet import Datasheet, datasheet_figures, device_names, load_datasheet
from emu.devices.units import Unit
from emu.table import COLUMNS, table

PEAKS = {"f32": "f32", "f16": "16 bit", "bf16": "16 bit", "f8E4M3FN": "f8", "i8": "i8"}


def facts(as_json: bool) -> None:
    """Print the main facts of every chip, as a table or as JSON."""
    sheets = [load_datasheet(name) for name in device_names()]
    if as_json:
        items = [facts_of(sheet) for sheet in sheets]
        print(json_text.dumps({"schema": "emu.list/1", "kind": "devices", "items": items}))
        return
    head = ("device", "kind", "cores", "MHz", "f32", "16 bit", "f8", "i8", "GB/s", "GiB", "W")
    print("\n".join(table(head, [_cells(sheet) for sheet in sheets])))
    print("\nPeaks are dense, in TFLOPS or TOPS. All figures and sources: emu show-device NAME")


def facts_of(sheet: Datasheet) -> dict[str, Any]:
    """The main facts of a chip; peaks in 10^12 operations a second by element type."""
    return {
        "name": sheet.name,
        "kind": sheet.kind,
        "about": sheet.about,
        "cores": sheet.compute.cores,
        "clock_mhz": sheet.compute.clock_mhz,
        "peak_tflops": peaks(sheet),
        "dram_gb_s": sheet.memory.dram.bandwidth_gb_s,
        "dram_gib": sheet.memory.dram.capacity_gib,
        "power_w": None if sheet.board is None else sheet.board.power_w,
        "assumed": dict(sheet.assumed),
        "conflict": dict(sheet.conflict),
    }


def peaks(sheet: Datasheet) -> dict[str, float]:
    """The peak of the best unit for products, by element type."""
    cycles = sheet.compute.cores * sheet.compute.clock_mhz / 1e6
    found: dict[str, float] = {}
    for unit in sheet.compute.units:
        for dtype, rate in unit.flops_per_cycle_per_core.items():
            found[dtype] = max(found.get(dtype, 0.0), rate * cycles)
    return {dtype: peak for dtype, peak in found.items() if dtype in PEAKS}


def _cells(sheet: Datasheet) -> tuple[str, ...]:
    best: dict[str, float] = {}
    for dtype, peak in peaks(sheet).items():
        best[PEAKS[dtype]] = max(best.get(PEAKS[dtype], 0.0), peak)
    watts = None if sheet.board is None else sheet.board.power_w
    dram = sheet.memory.dram
    return (
        *(sheet.name, sheet.kind, str(sheet.compute.cores), f"{sheet.compute.clock_mhz:g}"),
        *(_peak(best.get(name)) for name in dict.fromkeys(PEAKS.values())),
        *(f"{dram.bandwidth_gb_s:g}", f"{dram.capacity_gib:g}", f"{watts:g}" if watts else "-"),
    )


def _peak(peak: float | None) -> str:
    if peak is None:
        return "-"
    return f"{peak:.0f}" if peak >= 100 else f"{peak:.3g}"


def show(device: str, as_json: bool) -> None:
    """Print every figure of one device, by name or file, and where it comes from."""
    name = Path(device) if device.endswith(".toml") else device
    sheet = load_datasheet(name)
    if as_json:
        found = {**facts_of(sheet), "figures": datasheet_figures(name)}
        print(json_text.dumps({"schema": "emu.device/1", **found}))
        return
    print("\n".join(_text(sheet, datasheet_figures(name).items())))


def _text(sheet: Datasheet, figures: Any) -> Iterator[str]:
    yield f"{sheet.name}: a {sheet.kind}. {sheet.about}"
    yield ""
    rows = [(key, f"{figure:g}", _mark(sheet, key)) for key, figure in figures]
    yield from table(("key", "figure", "how it is known"), rows)
    yield ""
    for where, source in _sources(sheet):
        yield from wrap(f"{where}: {source}", COLUMNS, subsequent_indent="  ")
    for title, notes in (("Assumed", sheet.assumed), ("In conflict", sheet.conflict)):
        if notes:
            yield ""
            yield f"{title}:"
        for key, why in notes.items():
            yield from wrap(f"- {key}: {why}", COLUMNS, subsequent_indent="  ")


def _mark(sheet: Datasheet, key: str) -> str:
    if key in sheet.assumed:
        return "assumed"
    return "sources disagree" if key in sheet.conflict else "source"


def _sources(block: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every block inside of one, by its place, with what its figures come from."""
    for field in fields(block):
        value, place = getattr(block, field.name), f"{where}{field.name}"
        for part in cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,):
            if not is_dataclass(part) or part == field.default:
                continue
            here = f"{place}.{part.name}" if isinstance(part, Unit) else place
            source = getattr(part, "source", None)
            if source is not None:
                yield here, source
            yield from _sources(part, f"{here}.")
