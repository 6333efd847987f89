"""Times with their pasts, and how pasts compose over repeated periods."""

from collections.abc import Mapping
from dataclasses import dataclass

DIGIT = 48  # bits of a path for how often one kind of statement lies on it


@dataclass(frozen=True, slots=True)
class Moment:
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


@dataclass(frozen=True, slots=True)
class Stretch:
    """What lies between a time at the start of some periods and one at their end."""

    origin: int
    ps: int
    path: int

    def after(self, first: "Stretch") -> "Stretch":
        """This stretch behind the one that its origin went through before."""
        return Stretch(first.origin, first.ps + self.ps, first.path + self.path)


def power(one: list[Stretch], times: int) -> list[Stretch]:
    """The stretches of ``times`` periods from those of one."""
    result = [Stretch(i, 0, 0) for i in range(len(one))]
    while times:
        if times & 1:
            result = [s.after(result[s.origin]) for s in one]
        one = [s.after(one[s.origin]) for s in one]
        times >>= 1
    return result
