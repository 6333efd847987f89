"""Simulated annealing in whole numbers, so that a walk is the same on every machine."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

Point = TypeVar("Point")

STALE = 200  # proposals in a row that are nothing new: what can be reached is used up
PATIENCE = 12  # trials without a better one before the walk goes back to the best
COOL = 32  # at first, what is one in so many parts slower is taken every second time


@dataclass(frozen=True)
class Annealed(Generic[Point]):
    """The best point of a walk, its price, and how many distinct points were priced."""

    point: Point
    price: int
    trials: int


def anneal(
    start: Point,
    start_price: int,
    propose: Callable[[Point, Random], Point],
    price: Callable[[Point], int | None],
    trials: int,
    seed: int,
) -> Annealed[Point]:
    """Walk from ``start`` over neighbours and return the best of ``trials`` distinct points.

    ``price`` returns None for a point that is none, or that stands for one that was seen. A worse
    point is taken with probability T / (T + loss): the acceptance of generalised annealing with
    q = 2 (Tsallis and Stariolo 1996), which needs no exponential; T falls as 1 / trials since the
    best was found (Szu and Hartley 1987) and does not depend on how many there will be, so that a
    longer walk begins with the shorter one and is never worse.
    """
    random = Random(seed)
    best = here = (start_price, start)
    tried = stale = since = 0
    while tried < trials and stale < STALE:
        point = propose(here[1], random)
        luck = random.random()
        found = price(point)
        if found is None:
            stale += 1
            continue
        tried, stale, since = tried + 1, 0, since + 1
        heat = start_price // COOL // (1 + since)
        if found < best[0]:
            best, since = (found, point), 0
        if luck * (heat + found - here[0]) < heat or found <= here[0]:
            here = (found, point)
        if since >= PATIENCE:
            here, since = best, 0
    return Annealed(best[1], best[0], tried)
