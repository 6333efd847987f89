"""Counters of an array, as a chip has them: shares of all cycles, from every event of a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from emu.devices.holds import Hold

Span: TypeAlias = tuple[int, int]  # from and to, in ps
PRELOAD = "fill_drain"  # cycles in which weights are shifted in and nothing streams


def active_ps(holds: Sequence[Hold]) -> int:
    """For how long rows stream through the matrix array."""
    held = (hold for hold in holds if hold.resource == "matrix unit")
    return sum(ps for h in held for (_, cause), ps in h.shares.items() if cause != PRELOAD)


def stalled_ps(holds: Sequence[Hold]) -> int:
    """For how long the array stands still while weights come from device memory."""
    loads = (_span(h) for h in holds if h.resource == "load" and h.weights)
    held = (_span(h) for h in holds if h.resource == "matrix unit")
    return sum(end - start for start, end in _without(_union(loads), _union(held)))


COUNTERS: Mapping[str, Callable[[Sequence[Hold]], int]] = MappingProxyType(
    {"array active": active_ps, "weight stall": stalled_ps}
)


def _span(hold: Hold) -> Span:
    return hold.start_ps, hold.end_ps


def _union(spans: Iterable[Span]) -> list[Span]:
    """The same moments as spans that do not touch, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _without(spans: Iterable[Span], others: Sequence[Span]) -> Iterable[Span]:
    """What of ``spans`` lies in none of ``others``, which are in order and apart."""
    for start, end in spans:
        for low, high in others:
            if low < end and high > start:
                yield start, max(start, low)
                start = high
        yield start, max(start, end)
