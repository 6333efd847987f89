"""Hold the cost models to every row, and keep the figures as one value."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

from emu.devices.datasheet import device_names
from emu.ir.errors import UnknownName
from emu.validation.assumptions import Varied, assumed_of, variants, varied
from emu.validation.cases import Case, cases_of
from emu.validation.price import Prediction, compiled, counted, predict
from emu.validation.rows import package_rows, read_rows
from emu.validation.score import Scored, Summary, summaries

WORST = 10
FEW = 32  # cases that are not worth a second process


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter of a row, predicted and measured, in percent of all cycles."""

    row: Scored
    name: str
    predicted: float
    measured: float

    @property
    def points(self) -> float:
        """How many percentage points the prediction is over the measurement."""
        return self.predicted - self.measured


@dataclass(frozen=True, slots=True)
class Validation:
    """Every row with its prediction, their summaries, and what each assumption is worth."""

    scored: tuple[Scored, ...]
    summary: tuple[Summary, ...]
    assumptions: tuple[Varied, ...]

    @property
    def worst(self) -> tuple[Scored, ...]:
        """The conditioned rows with the largest errors."""
        counted = [s for s in self.scored if s.status == "conditioned"]
        return tuple(sorted(counted, key=lambda s: -abs(s.error or 0.0))[:WORST])

    @property
    def counters(self) -> Iterator[Counted]:
        """Every counter that a row has."""
        for one in self.scored:
            for name, measured in one.case.counters:
                if name in one.counters:
                    yield Counted(one, name, one.counters[name], measured)

    @property
    def named(self) -> Iterator[tuple[Scored, tuple[str, ...]]]:
        """Every row with the assumptions that its prediction rests on."""
        for one in self.scored:
            yield one, () if one.status == "not_priced" else assumed_of(one.case)


def validate(device: str | None = None, rows: Path | None = None) -> Validation:
    """Price the rows of the package, or of a file; only those of one ``device`` if it is named.

    A device is one of the rows' own names for it, or of a chip. Raises UnknownName for none that
    the rows have, and BadValues for a file or a cell that cannot be used.
    """
    found = cases_of(package_rows() if rows is None else read_rows(rows), device_names())
    chosen = _of_device(found, device)
    scored = _scored(chosen, _varied_rows(chosen))
    return Validation(scored, summaries(scored), tuple(varied(scored)))


def _scored(cases: Sequence[Case], with_facts: frozenset[Case]) -> tuple[Scored, ...]:
    """Every case priced, on all processors if there are many.

    Cases of one program are one job, so that it is compiled once. Models are compiled first: at
    the end, where processors wait for each other, jobs are short.
    """
    if len(cases) < FEW:
        return tuple(_score(case, case in with_facts) for case in cases)
    jobs: dict[object, list[int]] = {}
    for place, case in enumerate(cases):
        alike = place if case.never else (case.workload, compiled(case))
        jobs.setdefault(alike, []).append(place)
    places = sorted(jobs.values(), key=lambda job: cases[job[0]].set != "model")
    chosen = [[(cases[n], cases[n] in with_facts) for n in job] for job in places]
    with ProcessPoolExecutor(cpu_count()) as pool:
        found = zip(places, pool.map(_score_all, chosen), strict=True)
        scored = {n: one for job, many in found for n, one in zip(job, many, strict=True)}
    return tuple(scored[n] for n in range(len(cases)))


def _score_all(job: Sequence[tuple[Case, bool]]) -> list[Scored]:
    return [_score(case, with_facts) for case, with_facts in job]


def _score(case: Case, with_facts: bool) -> Scored:
    if case.never:
        return Scored(case, Prediction())
    priced = predict(case)
    if priced.refused or case.status != "conditioned":
        return Scored(case, priced)
    counters = counted(case) if case.counters else {}
    return Scored(case, priced, variants(case, priced, with_facts), counters)


def _varied_rows(cases: Sequence[Case]) -> frozenset[Case]:
    """Conditioned rows to vary: of each workload on a stack and chip, the first, middle and last.

    Of models the first: a whole model takes as long as a hundred ops.
    """
    alike: dict[object, list[Case]] = {}
    for case in cases:
        if case.status == "conditioned" and case.workload is not None:
            key = (case.set, case.chip, case.stack, case.workload[0])
            alike.setdefault(key, []).append(case)
    chosen = {
        found[place]
        for found in alike.values()
        for place in ((0, len(found) // 2, -1) if found[0].set in ("gemm", "op") else (0,))
    }
    return frozenset(chosen)


def _of_device(cases: Sequence[Case], device: str | None) -> Sequence[Case]:
    chosen = [c for c in cases if device in (None, c.device, c.chip)]
    if not chosen and device is not None:
        known = {name for c in cases for name in (c.device, c.chip) if name}
        raise UnknownName("device of the rows", device, known)
    return chosen
