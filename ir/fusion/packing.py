"""The heaviest choice of sets that share nothing, by dynamic programming over their members."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

# Regions are nearly intervals, so few sets of members are ever half taken; more is not worth it.
MOST_STATES = 20_000


@dataclass(frozen=True, slots=True)
class _Choice:
    weight: int
    sets: tuple[int, ...]


States: TypeAlias = Mapping[int, _Choice]  # by the members ahead that are taken, as bits


def heaviest(sets: Sequence[frozenset[int]], weights: Sequence[int]) -> tuple[int, ...]:
    """The positions of disjoint ``sets`` with the largest sum of positive ``weights``.

    Members are numbers. Of equal sums one is chosen, always the same. Where more than MOST_STATES
    ways would have to be kept apart, only the heaviest of them are, and the choice may be lighter.
    """
    starts: dict[int, list[int]] = {}
    for i, members in enumerate(sets):
        starts.setdefault(min(members), []).append(i)
    states: States = {0: _Choice(0, ())}
    for first in sorted(starts):
        bits = {i: sum(1 << member for member in sets[i]) for i in starts[first]}
        states = _best(_next(states, first, bits, weights))
    return max(states.values(), key=lambda choice: choice.weight).sets


def _next(
    states: States, first: int, bits: Mapping[int, int], weights: Sequence[int]
) -> Iterator[tuple[int, _Choice]]:
    """Each state without a set that starts at ``first``, and with each that is free."""
    for taken, choice in states.items():
        yield _after(taken, first), choice
        for i, members in bits.items():
            if not taken & members:
                more = _Choice(choice.weight + weights[i], (*choice.sets, i))
                yield _after(taken | members, first), more


def _after(taken: int, first: int) -> int:
    """The members behind ``first``; no later set has one before."""
    return taken >> (first + 1) << (first + 1)


def _best(found: Iterator[tuple[int, _Choice]]) -> States:
    """The heaviest choice of each state, the heaviest states only."""
    kept: dict[int, _Choice] = {}
    for taken, choice in found:
        if taken not in kept or kept[taken].weight < choice.weight:
            kept[taken] = choice
    return dict(sorted(kept.items(), key=lambda item: -item[1].weight)[:MOST_STATES])
