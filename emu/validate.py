"""What ``emu validate`` prints: every row, the summaries, the worst rows, the assumptions."""

import json as json_text
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emu.ir.trace import MEANING
from emu.table import plain, short, table
from emu.validation.run import Counted, Validation, validate
from emu.validation.score import Scored, Summary

WHAT = 36  # columns for the name of a row
LARGEST_CAUSES = 3


def show(device: str | None, rows: Path | None, as_json: bool) -> None:
    """Hold the cost models to published measurements, and print misses as plainly as hits."""
    found = validate(device, rows)
    if as_json:
        print(json_text.dumps(validation_json(found), allow_nan=False))
    else:
        print("\n".join(text(found)))


def validation_json(found: Validation) -> dict[str, Any]:
    """Schema emu.validate/1: times in ps; summary figures are over the conditioned rows."""
    return {
        "schema": "emu.validate/1",
        "rows": [row_json(one, assumed) for one, assumed in found.named],
        "counters": [counter_json(one) for one in found.counters],
        "summary": [asdict(one) for one in found.summary],
        "assumptions": [asdict(one) for one in found.assumptions],
    }


def row_json(one: Scored, assumed: tuple[str, ...]) -> dict[str, Any]:
    """One row; predicted and error are null where it is not priced."""
    priced = one.status != "not_priced"
    return {
        "set": one.case.set,
        "device": one.case.device,
        "what": one.case.what,
        "timed": one.case.timed,
        "status": one.status,
        "why": one.why,
        "assumed": list(assumed),
        "predicted": round(one.prediction.ps) if priced else None,
        "measured": round(one.case.measured_ps),
        "error": one.error,
        "source": one.case.source,
    }


def counter_json(one: Counted) -> dict[str, Any]:
    """One counter of a row, in percent of all cycles; the error is in percentage points."""
    return {
        "set": one.row.case.set,
        "device": one.row.case.device,
        "what": one.row.case.what,
        "counter": one.name,
        "predicted": round(one.predicted, 2),
        "measured": one.measured,
        "error": round(one.points, 2),
        "source": one.row.case.source,
    }


def text(found: Validation) -> Iterator[str]:
    """The tables, in Markdown."""
    yield from _rows(found)
    yield ""
    yield from _counters(found)
    yield from _summaries(found)
    yield ""
    yield from _worst(found)
    yield ""
    yield from _assumptions(found)
    yield ""
    yield from _left_out(found)


def _rows(found: Validation) -> Iterator[str]:
    priced = [one for one in found.scored if one.error is not None]
    head = ("set", "row", "predicted us", "measured us", "error", "counts")
    cells = [
        (
            *(one.case.set, short(one.case.what, WHAT), _us(one.prediction.ps)),
            *(_us(one.case.measured_ps), _signed(one.error), _counts(one)),
        )
        for one in priced
    ]
    yield from table(head, cells)


def _counters(found: Validation) -> Iterator[str]:
    cells = [
        (
            *(one.row.case.set, short(one.row.case.what, WHAT), one.name),
            *(f"{one.predicted:.1f}%", f"{one.measured:.1f}%", f"{one.points:+.1f}"),
        )
        for one in found.counters
    ]
    if cells:
        yield from table(("set", "row", "counter", "predicted", "measured", "points"), cells)
        yield ""


def _summaries(found: Validation) -> Iterator[str]:
    head = ("set", "device", "rows", "open", "left out", "median", "p90", "pairs", "rank")
    yield from table(head, [_summary(one) for one in found.summary])


def _summary(one: Summary) -> tuple[str, ...]:
    rank = "-" if one.rank_correlation is None else f"{one.rank_correlation:.3f}"
    counts = (str(one.n), str(one.n_unconditioned), str(one.n_not_priced))
    errors = (_share(one.median_abs_error), _share(one.p90_abs_error), _share(one.pairs_right))
    return (one.set, short(one.device, 24), *counts, *errors, rank)


def _worst(found: Validation) -> Iterator[str]:
    yield "Largest errors, and what emu says the time was spent on:"
    for one in found.worst:
        yield f"- {plain(one.case.what)}: {_signed(one.error)}; {_causes(one)}"


def _causes(one: Scored) -> str:
    spent = sorted((one.prediction.ledger or {}).items(), key=lambda item: -item[1])
    total = max(1.0, one.prediction.ps)
    largest = [f"{MEANING[cause]} {ps / total:.0%}" for cause, ps in spent[:LARGEST_CAUSES] if ps]
    return ", ".join(largest)


def _assumptions(found: Validation) -> Iterator[str]:
    yield "Median error with each assumption, without it, and with half or double of it:"
    yield ""
    head = ("assumption", "rows", "as it is", "off", "half", "double")
    cells = [
        (
            *(short(one.name, 40), str(one.rows), _share(one.median_abs_error)),
            *(_share(one.off), _share(one.half), _share(one.double)),
        )
        for one in found.assumptions
    ]
    yield from table(head, cells)
    yield from (f"- {plain(one.name)}: {plain(one.says)}" for one in found.assumptions)


def _left_out(found: Validation) -> Iterator[str]:
    yield "Not priced, or priced and not counted, and why:"
    reasons: dict[tuple[str, str], int] = {}
    for one in found.scored:
        if one.status != "conditioned":
            key = (one.status, one.why)
            reasons[key] = reasons.get(key, 0) + 1
    yield from (f"- {count} {status}: {plain(why)}" for (status, why), count in reasons.items())


def _us(ps: float) -> str:
    return f"{ps / 1e6:,.1f}"


def _signed(error: float | None) -> str:
    return "-" if error is None else f"{error:+.1%}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _counts(one: Scored) -> str:
    return "yes" if one.status == "conditioned" else "open"
