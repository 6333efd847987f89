"""The command that prices a model at many points, and can be cut off and continued."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emu.ir.errors import BadOption
from emu.sweeps.journal import journal
from emu.sweeps.pareto import front, must_be_figures
from emu.sweeps.parquet import must_have_parquet, write_parquet
from emu.sweeps.plan import Plan, Point, key_of, parse_axes, plan, read_plan
from emu.sweeps.point import Result, must_be_possible
from emu.sweeps.pool import Priced, dask, local
from emu.table import table

TELL_EVERY_S = 1.0
PARETO_ROWS = 20


@dataclass(frozen=True)
class SweepFlags:
    """The flags of a sweep; None is a flag that was not given."""

    output: Path
    file: Path | None = None
    random: int | None = None
    seed: int = 0
    reprice: bool = False
    workers: int | None = None
    dask: str | None = None
    pareto: str | None = None


def sweep(model: str, texts: Iterable[str], flags: SweepFlags) -> None:
    """Price what is not yet in the journal, then write results.parquet; print what was found."""
    must_have_parquet()
    figures = () if flags.pareto is None else must_be_figures(flags.pareto)
    asked = _plan(model, texts, flags)
    _check_values(asked)
    done = _all_done(asked, flags)
    path = write_parquet(flags.output, asked, done)
    refused = sum(bool(result["refused"]) for result in done.values())
    print(f"wrote {path}: {len(done)} points, {refused} of them refused")
    if figures:
        print("\n".join(_pareto(asked, done, figures)))


def _plan(model: str, texts: Iterable[str], flags: SweepFlags) -> Plan:
    given = parse_axes(texts)
    if flags.file is None:
        return plan(model, given, (), flags.random, flags.seed, flags.reprice)
    axes, points = read_plan(flags.file)
    return plan(model, {**axes, **given}, points, flags.random, flags.seed, flags.reprice)


def _check_values(asked: Plan) -> None:
    """Try each value of each setting once, so that a wrong one is told before hours of work."""
    seen: set[tuple[str, str]] = set()
    for point in asked.points:
        if not seen.issuperset(point.items()):
            must_be_possible(asked.model, point)
            seen.update(point.items())


def _all_done(asked: Plan, flags: SweepFlags) -> dict[str, Result]:
    with journal(flags.output, asked) as kept:
        done = dict(kept.done)
        left = [point for point in asked.points if key_of(point) not in done]
        for point, result in _told(_priced(asked, left, flags), len(left)):
            kept.add(point, result)
            done[key_of(point)] = result
        return done


def _priced(asked: Plan, left: list[Point], flags: SweepFlags) -> Iterator[Priced]:
    if not left:
        return iter(())
    if flags.dask is not None:
        return dask(asked.model, left, asked.reprice, flags.dask)
    workers = os.cpu_count() or 1 if flags.workers is None else flags.workers
    if workers < 1:
        raise BadOption(f"--workers {workers}: at least one process works")
    return local(asked.model, left, asked.reprice, min(workers, len(left)))


def _told(priced: Iterator[Priced], total: int) -> Iterator[Priced]:
    """Say on a terminal, once a second, how many points are done, how fast, and what is left."""
    start = told = time.monotonic()
    seen = sys.stderr.isatty()
    for count, found in enumerate(priced, 1):
        yield found
        now = time.monotonic()
        if seen and (now - told > TELL_EVERY_S or count == total):
            rate, told = count / (now - start), now
            left = f"{(total - count) / rate:.0f} s left"
            print(f"{count}/{total} points, {60 * rate:.0f} a minute, {left}", file=sys.stderr)


def _pareto(asked: Plan, done: Mapping[str, Result], figures: tuple[str, ...]) -> Iterator[str]:
    rows = front(done, figures)
    yield f"\n{len(rows)} points that no other beats in {' and '.join(figures)}:"
    varied = [n for n in sorted(asked.points[0]) if len({p.get(n) for p in asked.points}) > 1]
    points = {key_of(point): point for point in asked.points}
    cells = [
        (*(points[key].get(n, "-") for n in varied), *(str(done[key][f]) for f in figures))
        for key in rows[:PARETO_ROWS]
    ]
    yield from table((*varied, *figures), cells)
    if len(rows) > PARETO_ROWS:
        yield f"and {len(rows) - PARETO_ROWS} more in the file"
