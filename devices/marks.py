"""Moments of a whole run, each with what its critical path came through, back to the start."""

from collections.abc import Mapping
from dataclasses import dataclass

from emu.devices.terms import Key, Settled
from emu.devices.tile_cost import Shares
from emu.devices.timeline import Clockwork

NO_SHARES = Shares()


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in ps; it came ``before`` plus a stretch that belongs to launch ``index``.

    The stretch is either ``settled`` or a ``path`` through the clockwork of a tile program, whose
    compulsory views are ``told``.
    """

    ps: int
    before: "Mark | None" = None
    index: int = 0
    settled: Settled | None = None
    clockwork: Clockwork | None = None
    path: int = 0
    told: Shares = NO_SHARES

    def after(self, settled: Settled, index: int) -> "Mark":
        """The moment when an event that starts here ends."""
        return Mark(self.ps + settled.ps, self, index, settled)

    def shares(self) -> Mapping[Key, int]:
        """What the stretch consists of."""
        if self.settled is not None:
            return dict(self.settled.shares)
        if self.clockwork is None:
            return {}
        return self.clockwork.charges(self.path, self.told)


START = Mark(0)


def later(first: Mark, *others: Mark) -> Mark:
    """The latest mark; of equals the first, which fixes the critical path."""
    for mark in others:
        if mark.ps > first.ps:
            first = mark
    return first


def follow(end: Mark) -> dict[int, dict[Key, int]]:
    """Follow the critical path back from ``end``: charges by launch; they sum to its time."""
    found: dict[int, dict[Key, int]] = {}
    mark: Mark | None = end
    while mark is not None:
        charges = found.setdefault(mark.index, {})
        for key, ps in mark.shares().items():
            charges[key] = charges.get(key, 0) + ps
        mark = mark.before
    return found
