"""Counters of an array, as a chip has them: shares of all cycles, from every event of a run."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from emu.devices.holds import Hold

Span: TypeAlias = tuple[int, int]  # from and to, in ps
FILLING = "fill_drain"  # cycles of a product in which weights are shifted in and nothing streams


def active_ps(holds: Sequence[Hold]) -> int:
    """For how long rows stream through the matrix array."""
    held = (hold for hold in holds if hold.resource == "matrix unit")
    return sum(ps for h in held for (_, cause), ps in h.shares.items() if cause != FILLING)


def stalled_ps(holds: Sequence[Hold]) -> int:
    """For how long the array stands still until weights that it waits for start to shift in.

    It waits for something else while its next weights are there.
    """
    shifts = [_span(h) for h in holds if h.resource == "weight shift"]
    held = _union((*shifts, *(_span(h) for h in holds if h.resource == "matrix unit")))
    awaited = {start for start, _ in shifts}
    gaps = zip((0, *(end for _, end in held)), (start for start, _ in held), strict=False)
    waits = [(end, start) for end, start in gaps if start in awaited]
    loads = _union(_span(h) for h in holds if h.resource == "load" and h.weights)
    waited = sum(start - end for end, start in waits)
    return waited - sum(start - end for end, start in _without(waits, loads))


def shifting_ps(holds: Sequence[Hold]) -> int:
    """For how long weights are shifted into the array and no row streams through it."""
    shifts = (_span(h) for h in holds if h.resource == "weight shift")
    held = [h for h in holds if h.resource == "matrix unit"]
    between = _without(_union(shifts), _union(map(_span, held)))
    inside = sum(ps for h in held for (_, cause), ps in h.shares.items() if cause == FILLING)
    return inside + sum(end - start for start, end in between)


def other_ps(holds: Sequence[Hold], total_ps: int) -> int:
    """For how long the array neither works nor waits for weights: it waits for data or is done."""
    return total_ps - active_ps(holds) - stalled_ps(holds) - shifting_ps(holds)


def counters(holds: Sequence[Hold], total_ps: int) -> Mapping[str, int]:
    """Every counter of a run of ``total_ps``, in ps; together they are all of it."""
    return MappingProxyType(
        {
            "array active": active_ps(holds),
            "weight stall": stalled_ps(holds),
            "weight shift": shifting_ps(holds),
            "non-matrix": other_ps(holds, total_ps),
        }
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
