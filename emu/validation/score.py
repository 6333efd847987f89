"""What the errors of many rows come to: median, 90th percentile, and pairs in the right order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median

from emu.validation.cases import Case
from emu.validation.price import Prediction

PAIR_GAP = 0.05  # pairs of rows that are nearer than this say nothing about order


@dataclass(frozen=True, slots=True)
class Scored:
    """A case with its prediction; the error is predicted over measured, less 1.

    ``variants`` are predictions with shares of its assumptions, by name and share; ``counters``
    what the counters of the case are predicted to show, in percent.
    """

    case: Case
    prediction: Prediction
    variants: Mapping[tuple[str, str], Prediction] = field(
        default_factory=dict[tuple[str, str], Prediction]
    )
    counters: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def status(self) -> str:
        """That of the case; what emu refuses is not priced."""
        return "not_priced" if self.prediction.refused else self.case.status

    @property
    def why(self) -> str:
        """Why it is not priced, or does not count."""
        return self.prediction.refused or self.case.never or self.case.open

    @property
    def error(self) -> float | None:
        """The relative error, None for what is not priced."""
        if self.status == "not_priced":
            return None
        return self.prediction.ps / self.case.measured_ps - 1


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures over the conditioned rows of one set on one device; None where there are none."""

    set: str
    device: str
    n: int
    n_unconditioned: int
    n_not_priced: int
    median_abs_error: float | None
    p90_abs_error: float | None
    pairs_right: float | None
    rank_correlation: float | None


def summaries(scored: Sequence[Scored]) -> tuple[Summary, ...]:
    """One summary for each set and device, then one for each set on all devices."""
    places = dict.fromkeys((s.case.set, s.case.device) for s in scored)
    each = [_summary(name, device, _of(scored, name, device)) for name, device in places]
    kinds = dict.fromkeys(s.case.set for s in scored)
    return (*each, *(_summary(name, "all", _of(scored, name)) for name in kinds))


def _of(scored: Sequence[Scored], name: str, device: str | None = None) -> list[Scored]:
    return [s for s in scored if s.case.set == name and device in (None, s.case.device)]


def _summary(name: str, device: str, scored: Sequence[Scored]) -> Summary:
    counted = [s for s in scored if s.status == "conditioned"]
    errors = sorted(abs(s.error) for s in counted if s.error is not None)
    return Summary(
        set=name,
        device=device,
        n=len(counted),
        n_unconditioned=sum(s.status == "unconditioned" for s in scored),
        n_not_priced=sum(s.status == "not_priced" for s in scored),
        median_abs_error=median(errors) if errors else None,
        p90_abs_error=percentile(errors, 0.9) if errors else None,
        pairs_right=pairs_right(counted),
        rank_correlation=rank_correlation(counted),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest figure that ``share`` of an ordered sequence does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def pairs_right(scored: Sequence[Scored]) -> float | None:
    """The share of pairs that are predicted in the order in which they were measured.

    Pairs are of one source and device, more than 5 % and more than a step of the timer apart.
    What is predicted to be equal is wrong.
    """
    right = [
        (a.prediction.ps - b.prediction.ps) * (a.case.measured_ps - b.case.measured_ps) > 0
        for a, b in combinations(scored, 2)
        if _comparable(a.case, b.case)
    ]
    return sum(right) / len(right) if right else None


def _comparable(a: Case, b: Case) -> bool:
    apart = abs(a.measured_ps - b.measured_ps)
    one_place = (a.source, a.device) == (b.source, b.device)
    small = min(a.measured_ps, b.measured_ps)
    return one_place and apart > a.step_ps and apart > PAIR_GAP * small


def rank_correlation(scored: Sequence[Scored]) -> float | None:
    """Spearman's: how far the ranks of predictions go with those of measurements, -1 to 1."""
    if len(scored) < 2:
        return None
    predicted = _ranks([s.prediction.ps for s in scored])
    measured = _ranks([s.case.measured_ps for s in scored])
    middle = (len(scored) + 1) / 2
    both = sum((p - middle) * (m - middle) for p, m in zip(predicted, measured, strict=True))
    spread = sum((p - middle) ** 2 for p in predicted) * sum((m - middle) ** 2 for m in measured)
    return both / spread**0.5 if spread else None


def _ranks(figures: Sequence[float]) -> list[float]:
    """The place of each figure in their order; equal ones share the middle of their places."""
    ordered = sorted(figures)
    first = {figure: ordered.index(figure) for figure in set(figures)}
    return [first[f] + (ordered.count(f) + 1) / 2 for f in figures]
