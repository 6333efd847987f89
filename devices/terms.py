"""Typed terms: what an event consists of, from which its duration and its charges follow.

An event keeps amounts and rates, never a bare duration, so that a cause can be made free, or a
rate changed, without compiling anything again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from emu.ir.trace import CAUSES

PS_PER_S = 10**12
Key: TypeAlias = tuple[int, str]  # position of a node in the body, cause


@dataclass(frozen=True, slots=True)
class Term:
    """``amount`` of work (operations, bytes, cycles, ...) done at ``rate`` per picosecond.

    ``node`` is the position in the body of the node that it is charged to.
    """

    cause: str
    amount: Fraction
    rate: Fraction
    node: int = 0

    @property
    def ps(self) -> Fraction:
        """Exact time in picoseconds."""
        return self.amount / self.rate


@dataclass(frozen=True, slots=True)
class Phase:
    """``times`` repetitions of the slowest of several alternatives, each a sum of terms."""

    alternatives: tuple[tuple[Term, ...], ...]
    times: int = 1


@dataclass(frozen=True, slots=True)
class Settled:
    """A duration in whole picoseconds; its shares by node and cause sum to it exactly."""

    ps: int
    shares: tuple[tuple[Key, int], ...] = ()


class Event:
    """Something that takes time, by its terms; settled once for each set of free causes."""

    def __init__(self, phases: tuple[Phase, ...] = ()) -> None:
        """Keep the terms."""
        self.phases = phases
        self.known: dict[frozenset[str], Settled] = {}
        self.lasting: dict[frozenset[str], int] = {}

    def ps(self, free: frozenset[str] = frozenset()) -> int:
        """The duration that ``settle`` gives, without its shares, which are most of the work."""
        if free not in self.lasting:
            self.lasting[free] = duration(self.phases, free)
        return self.lasting[free]

    def settle(self, free: frozenset[str] = frozenset()) -> Settled:
        """The duration and its shares when the causes in ``free`` cost nothing."""
        if free not in self.known:
            self.known[free] = settle(self.phases, free)
        return self.known[free]


NO_EVENT = Event()
ORDER = {cause: i for i, cause in enumerate(CAUSES)}


def duration(phases: tuple[Phase, ...], free: frozenset[str] = frozenset()) -> int:
    """Return the duration of phases one after the other in ps, rounded up once."""
    total = 0, 1
    for phase in phases:
        slowest = 0, 1
        for alternative in phase.alternatives:
            found = _sum(term for term in alternative if term.cause not in free)
            if found[0] * slowest[1] > slowest[0] * found[1]:
                slowest = found
        total = (
            total[0] * slowest[1] + phase.times * slowest[0] * total[1],
            total[1] * slowest[1],
        )
    return -(-total[0] // total[1])


def _sum(terms: Iterable[Term]) -> tuple[int, int]:
    """The exact time of terms as a ratio that is not reduced, since reducing takes longest."""
    above, below = 0, 1
    for term in terms:
        amount, rate = term.amount, term.rate
        over = amount.denominator * rate.numerator
        above = above * over + amount.numerator * rate.denominator * below
        below *= over
    return above, below


def settle(phases: tuple[Phase, ...], free: frozenset[str] = frozenset()) -> Settled:
    """Return the duration of phases one after the other; the causes in ``free`` cost nothing.

    Of equally slow alternatives the first is charged. The sum is rounded up once; shares become
    integers by cumulative rounding in the order of the causes.
    """
    exact: dict[Key, Fraction] = {}
    for phase in phases:
        sums = [
            sum((t.ps for t in a if t.cause not in free), Fraction()) for a in phase.alternatives
        ]
        slowest = max(range(len(sums)), key=lambda i: (sums[i], -i))
        for term in phase.alternatives[slowest]:
            if term.cause not in free:
                key = term.node, term.cause
                exact[key] = exact.get(key, Fraction()) + term.ps * phase.times
    return Settled(*_rounded(exact))


def _rounded(exact: dict[Key, Fraction]) -> tuple[int, tuple[tuple[Key, int], ...]]:
    total = sum(exact.values(), Fraction())
    whole = -(-total.numerator // total.denominator)
    shares: list[tuple[Key, int]] = []
    reached, given = Fraction(), 0
    for key in sorted(exact, key=lambda k: (ORDER[k[1]], k[0])):
        reached += exact[key]
        # The last share ends at the total that was rounded up, all others at the nearest below.
        upto = whole if reached == total else reached.numerator // reached.denominator
        shares.append((key, upto - given))
        given = upto
    return whole, tuple((key, ps) for key, ps in shares if ps)


def one(*terms: Term) -> tuple[Phase, ...]:
    """A single phase that is a sum of terms; terms of no amount are left out."""
    return (Phase((positive(terms),)),)


def shared(phases: tuple[Phase, ...], share: Fraction) -> tuple[Phase, ...]:
    """A share of the work of every term."""
    return tuple(
        Phase(
            tuple(
                tuple(replace(term, amount=term.amount * share) for term in terms)
                for terms in phase.alternatives
            ),
            phase.times,
        )
        for phase in phases
    )


def positive(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The terms that have an amount."""
    return tuple(term for term in terms if term.amount)


@lru_cache(maxsize=4096)
def exact(number: float) -> Fraction:
    """A figure of a datasheet as the decimal number that was written there."""
    return Fraction(str(number))


def fixed_ps(cause: str, us: float) -> Term:
    """A fixed time of ``us`` microseconds."""
    return Term(cause, exact(us) * 10**6, Fraction(1))
