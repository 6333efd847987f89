"""Partitions of a chip: what shares of it can stand side by side, by a placement table."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from emu.ir.errors import NotSupported


@dataclass(frozen=True)
class Profile:
    """A part of a chip: ``cores`` of ``of`` of its cores, and ``slices`` from one of ``starts`` on.

    The slices are those that a placement has, of memory, bandwidth and cache.
    """

    name: str
    cores: int
    of: int
    slices: int
    starts: tuple[int, ...]

    @property
    def share(self) -> Fraction:
        """What share of the cores it has, by which policies ask for it."""
        return Fraction(self.cores, self.of)


@dataclass(frozen=True)
class Placement:
    """How a chip can be cut.

    ``kind`` is "table" (each instance has a profile and a free start among slices), "mode" (the
    whole chip is in one mode of equal parts), "template" (named sets of parts) or "none".
    """

    kind: str
    profiles: Mapping[str, Profile]
    slices: int
    most: int

    def place(self, wanted: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
        """Profiles with the slice that each starts at; raises NotSupported if they do not fit."""
        if self.kind == "none":
            raise NotSupported("a partition is asked for", "a chip that is whole", _named(wanted))
        if unknown := next((name for name in wanted if name not in self.profiles), None):
            have = ", ".join(sorted(self.profiles))
            raise NotSupported("a partition is asked for", have, unknown)
        if len(wanted) > self.most:
            raise NotSupported("partitions are placed", f"room for {self.most}", len(wanted))
        if self.kind == "mode" and len(set(wanted)) > 1:
            raise NotSupported("a mode is set", "equal parts only", _named(wanted))
        return self._placed(wanted)

    def _placed(self, wanted: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
        """Large profiles first, each at the first start where all of its slices are free."""
        free, found = set(range(self.slices)), list[tuple[str, int]]()
        for name in sorted(wanted, key=lambda n: -self.profiles[n].slices):
            start = self._start(self.profiles[name], free)
            if start is None:
                have = f"{len(free)} of {self.slices} slices free"
                raise NotSupported("partitions are placed", have, name)
            free -= set(range(start, start + self.profiles[name].slices))
            found.append((name, start))
        return tuple(found)

    @staticmethod
    def _start(profile: Profile, free: set[int]) -> int | None:
        for start in profile.starts:
            if free.issuperset(range(start, start + profile.slices)):
                return start
        return None


def _named(wanted: tuple[str, ...]) -> str:
    return ", ".join(wanted) or "a partition"
