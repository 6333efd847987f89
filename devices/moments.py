"""Times with their pasts, and how pasts compose over repeated periods."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

DIGIT = 48  # bits of a path for how often one kind of statement lies on it


class Moment(NamedTuple):
    """A time, the entry or variable that its critical path comes from, and the path's statements.

    ``path`` holds one count per kind of statement, DIGIT bits each: adding paths adds all counts,
    and multiplying one repeats it.
    """

    ps: int
    origin: int
    path: int = 0

    def after(self, ps: int, step: int) -> "Moment":
        """The moment ``ps`` later, with one more statement on its path."""
        return Moment(self.ps + ps, self.origin, self.path + step)


def later(a: Moment, b: Moment) -> Moment:
    """The later of two moments; of equals the first, which fixes the critical path."""
    return b if b.ps > a.ps else a


@dataclass(frozen=True)
class Passage:
    """What a program does to the clock, from one relative state of its entries.

    ``free`` are the resources when it is done with them, ``stored`` when each output view is in
    device memory, ``end`` when everything is done. Origins are entries.
    """

    free: tuple[Moment, ...]
    stored: Mapping[int, Moment]
    end: Moment


class Stretch(NamedTuple):
    """What lies between a time at the start of some periods and one at their end."""

    origin: int
    ps: int
    path: int


def power(one: list[Stretch], times: int) -> list[Stretch]:
    """The stretches of ``times`` periods from those of one."""
    return [_back(one, place, times) for place in range(len(one))]


def _back(one: list[Stretch], place: int, times: int) -> Stretch:
    """Where the path to a time comes from ``times`` periods before, and what lies between.

    Each period leads to another time, so paths soon go round: all full rounds are one product.
    """
    ps = path = 0
    seen: dict[int, tuple[int, int, int]] = {}
    while times:
        if place in seen:
            before, ps_then, path_then = seen[place]
            rounds, times = divmod(times, before - times)
            ps += rounds * (ps - ps_then)
            path += rounds * (path - path_then)
            seen.clear()
            continue
        seen[place] = times, ps, path
        place, more_ps, more_path = one[place]
        ps, path, times = ps + more_ps, path + more_path, times - 1
    return Stretch(place, ps, path)
