"""What the score would be without each assumption, and with half or double its value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeAlias

from emu.devices.datasheet import datasheet_figures, load_datasheet
from emu.devices.facts import Fact
from emu.validation.cases import US, Case
from emu.validation.price import Prediction, predict
from emu.validation.score import Scored
from emu.validation.stacks import conditions

OFF = 1e-6  # as good as nothing, since a figure of a datasheet is over 0
SHARES = {"off": 0.0, "half": 0.5, "double": 2.0}
Variants: TypeAlias = Mapping[tuple[str, str], Prediction]  # by name and share
# Facts that can be nothing: times, energies, power. Rates and sizes cannot.
AMOUNTS = (
    *("refresh_ns", "latency_ns", "_us", "_cycles", "_pj_byte", "static_w"),
    *("pj_per_flop_f32", "pj_per_transcendental"),
)
# Facts of what a row without copies and host calls does not use.
ELSEWHERE = ("host.", "link.", "memory.dram.alignment_bytes")


@dataclass(frozen=True, slots=True)
class Varied:
    """Median |error| of the conditioned rows that use an assumption, as it is and otherwise.

    A share is None where the chip cannot be so. Facts are varied for some rows of each
    workload, conditions for all.
    """

    name: str
    says: str
    rows: int
    median_abs_error: float
    off: float | None
    half: float | None
    double: float | None


def assumed_of(case: Case) -> tuple[str, ...]:
    """The assumptions that a prediction rests on: conditions by name, then facts of the chip."""
    if case.stack is None or not case.chip:
        return ()
    conditions = (case.stack.call, case.stack.dispatch)
    return (*(c for c in conditions if c), *load_datasheet(case.chip).assumed)


def variants(case: Case, priced: Prediction, facts: bool) -> Variants:
    """The prediction of a case with each share of its conditions, and of its chip's facts."""
    found: dict[tuple[str, str], Prediction] = {}
    for name in assumed_of(case):
        if facts or name in conditions():
            found |= {(name, how): _with(case, priced, name, how) for how in SHARES}
    return found


def _with(case: Case, priced: Prediction, name: str, how: str) -> Prediction:
    assert case.stack is not None
    share = SHARES[how]
    if name == case.stack.call:
        return replace(priced, ps=priced.ps + case.times * (share - 1) * case.called_us * US)
    if name == case.stack.dispatch:
        us = conditions()[name].us * share
        return predict(case, (("launch.issue_us", max(OFF, us)),))
    if not priced.on_host and name.startswith(ELSEWHERE):
        return priced
    if how == "off" and not name.endswith(AMOUNTS):
        return Prediction(refused=f"{name} cannot be nothing")
    return predict(case, ((name, _scaled(datasheet_figures(case.chip)[name], share)),))


def _scaled(figure: Fact, share: float) -> Fact:
    """A share of a figure, in whole numbers if it is one."""
    assert not isinstance(figure, str)
    if isinstance(figure, int):
        return max(1, round(figure * share))
    return max(OFF, figure * share)


def varied(scored: Sequence[Scored]) -> Iterator[Varied]:
    """Every assumption of the rows that were priced with shares of it."""
    counted = [s for s in scored if s.status == "conditioned" and s.variants]
    for name in dict.fromkeys(name for s in counted for name, _ in s.variants):
        using = [s for s in counted if (name, "half") in s.variants]
        yield Varied(
            *(name, _says(name, using[0]), len(using), _median(using)),
            *(_median_with(using, name, how) for how in SHARES),
        )


def _says(name: str, used: Scored) -> str:
    if name in conditions():
        condition = conditions()[name]
        return f"{condition.us:g} us; {condition.source}"
    return load_datasheet(used.case.chip).assumed[name]


def _median(scored: Sequence[Scored]) -> float:
    return median(abs(one.error or 0.0) for one in scored)


def _median_with(scored: Sequence[Scored], name: str, how: str) -> float | None:
    """The median error with a share of an assumption, None if a chip cannot be so."""
    found = [replace(one, prediction=one.variants[name, how]) for one in scored]
    return None if any(one.prediction.refused for one in found) else _median(found)
