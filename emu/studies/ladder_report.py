"""A ladder as Markdown tables of at most 80 columns, as CSV, and as JSON."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import StringIO
from textwrap import wrap
from typing import Any

from emu.studies.rungs import Cell
from emu.table import COLUMNS, plain, short, table, us

KEYS = ("device", "fusion", "kernels", "latency_ps", "groups", "dram_bytes", "values_ok")
NOTHING = "-"


def best_ps(cells: Sequence[Cell]) -> dict[str, int]:
    """The lowest latency on each device, in ps."""
    best: dict[str, int] = {}
    for cell in cells:
        if cell.latency_ps is not None:
            best[cell.device] = min(cell.latency_ps, best.get(cell.device, cell.latency_ps))
    return best


def factor(cell: Cell, best: dict[str, int]) -> float | None:
    """How many times the lowest latency of its device a cell takes; None if it was refused."""
    if cell.latency_ps is None:
        return None
    return cell.latency_ps / best[cell.device] if best[cell.device] else 1.0


def ladder_json(model: str, cells: Sequence[Cell]) -> dict[str, Any]:
    """The cells under schema emu.ladder/1; a cell that was refused has no numbers.

    ``refused`` is there only if a cell was, and says why; so is ``over_capacity``.
    """
    found: dict[str, Any] = {
        "schema": "emu.ladder/1",
        "model": model,
        "cells": [{key: asdict(cell)[key] for key in KEYS} for cell in cells],
    }
    for said in ("refused", "over_capacity"):
        place = ("device", "fusion", "kernels", said)
        if those := [asdict(cell) for cell in cells if getattr(cell, said)]:
            found[said] = [{key: cell[key] for key in place} for cell in those]
    return found


def ladder_csv(cells: Sequence[Cell]) -> str:
    """One line a cell, after a line of names; what a cell has not is empty.

    The column ``over_capacity`` is there only if a cell has it.
    """
    best, text = best_ps(cells), StringIO()
    writer = csv.writer(text, lineterminator="\n")
    over = ("over_capacity",) if any(cell.over_capacity for cell in cells) else ()
    writer.writerow((*KEYS, "factor", "refused", *over))
    for cell in cells:
        times = factor(cell, best)
        values = asdict(cell)
        shown = "" if times is None else f"{times:.4f}"
        last = (values[key] for key in ("refused", *over))
        writer.writerow((*(values[key] for key in KEYS), shown, *last))
    return text.getvalue()


def report(model: str, cells: Sequence[Cell]) -> str:
    """A table for each device, and why cells were refused."""
    devices = dict.fromkeys(cell.device for cell in cells)
    parts = [_device(model, [c for c in cells if c.device == device]) for device in devices]
    return "\n\n".join("\n".join(part) for part in parts)


def _device(model: str, cells: Sequence[Cell]) -> Iterator[str]:
    best = best_ps(cells)
    yield from wrap(plain(f"{model} on {cells[0].device}: {_span(cells, best)}"), COLUMNS)
    yield ""
    head = ("fusion", "kernels", "groups", "memory MB", "us", "factor", "values")
    yield from table(head, [_row(cell, best) for cell in cells])
    said: dict[str, list[str]] = {}
    for cell in cells:
        if why := cell.refused or cell.over_capacity:
            said.setdefault(why, []).append(f"{cell.fusion}/{cell.kernels}")
    for why, places in said.items():
        yield ""
        yield from wrap(plain(f"- {', '.join(places)}: {why}"), COLUMNS, subsequent_indent="  ")


def _span(cells: Sequence[Cell], best: dict[str, int]) -> str:
    """The best and the worst cell in words."""
    priced = [(cell.latency_ps, cell) for cell in cells if cell.latency_ps is not None]
    if not priced:
        return "every cell is refused"
    (low, fast), (_, slow) = (pick(priced, key=lambda pair: pair[0]) for pick in (min, max))
    times = factor(slow, best) or 1.0
    return (
        f"best {us(low)} us ({fast.fusion}/{fast.kernels}), "
        f"worst {times:.2f}x ({slow.fusion}/{slow.kernels})"
    )


def _row(cell: Cell, best: dict[str, int]) -> tuple[str, ...]:
    place = short(cell.fusion, 12), short(cell.kernels, 12)
    times = factor(cell, best)
    if cell.latency_ps is None or cell.dram_bytes is None or times is None:
        return (*place, *(NOTHING,) * 4, "refused")
    values = {None: NOTHING, True: "equal", False: "NOT equal"}[cell.values_ok]
    moved = f"{cell.dram_bytes / 1e6:,.1f}"
    return (*place, str(cell.groups), moved, us(cell.latency_ps), f"{times:.2f}x", values)
