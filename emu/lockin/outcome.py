"""The outcome of a substitution: the stack is built with other parts, tried, and classified.

The classes, in the order in which they are decided: a native stack that fails by itself is a
native-failure. A stack that runs is vacuous if a new part was never called, free up to FREE times
the time, slower up to the floor, below-floor beyond. One that fails is co if it runs with further
slots changed, blocked if no such stack exists.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, starmap
from math import inf

from emu.ir.errors import EmuError
from emu.lockin.parts import SLOTS, Bundle, Choice, title
from emu.lockin.search import (
    Masks,
    Options,
    blocking_sets,
    changes_by_size,
    few_changes,
    masks_of,
    of_all_programs,
    of_one_program,
    options_beside,
)
from emu.lockin.segments import Timed
from emu.lockin.trial import Failure, Laboratory, Trial

FREE = 1.05
FEW = 10  # stacks of which it pays to know bounds before the first is timed
FLOOR = 10.0


@dataclass(frozen=True)
class Outcome:
    """What a substitution ended with.

    ``ratio`` is the time over that of the stack as it was (on the new chip's peaks where the chip
    was replaced), ``unscaled`` the same on its own chip, and ``gap`` the difference of ``before``
    and ``after`` in picoseconds by cause, which sum to it. ``cofactors`` is the smallest change
    that lifts a failure, ``apart`` how many slots do if the chip may change too. ``blocking`` are
    the minimal sets of contracts that together forbid every way. ``unused`` are the parts that were
    put in and that no contract and no run called.
    """

    kind: str
    replaced: Mapping[str, Bundle]
    ratio: float | None = None
    failure: Failure | None = None
    cofactors: tuple[tuple[str, Bundle], ...] = ()
    apart: int = 0
    blocking: tuple[tuple[str, ...], ...] = ()
    before: Timed = field(default_factory=Timed)
    after: Timed = field(default_factory=Timed)
    unscaled: float | None = None
    unused: Bundle = ()

    @property
    def before_ps(self) -> int:
        """Picoseconds of the stack as it was."""
        return self.before.ps

    @property
    def after_ps(self) -> int:
        """Picoseconds of the stack with other parts."""
        return self.after.ps

    @property
    def gap(self) -> Mapping[str, int]:
        """What each cause takes longer, where it takes another time."""
        before, after = self.before.by_cause, self.after.by_cause
        more = {cause: after[cause] - before[cause] for cause in after}
        return {cause: ps for cause, ps in more.items() if ps}

    @property
    def label(self) -> str:
        """The class, with how many more slots must change."""
        return f"co+{len(self.cofactors)}" if self.kind == "co" else self.kind


Changes = tuple[tuple[str, Bundle], ...]


@dataclass
class Bench:
    """Substitutions in one stack, on one source program."""

    laboratory: Laboratory
    base: Choice
    floor: float = FLOOR
    keep: tuple[str, ...] = ("device",)

    @cached_property
    def native(self) -> Trial:
        """The stack as it is."""
        return self.laboratory.try_(self.base)

    def swap(self, replaced: Mapping[str, Bundle]) -> Outcome:
        """Replace some slots and see."""
        if self.native.failure is not None:
            return Outcome("native-failure", replaced, failure=self.native.failure)
        choice = {**self.base, **replaced}
        trial = self.laboratory.try_(choice)
        if trial.failure is not None:
            return self.failed(replaced, trial.failure)
        return self.ran(replaced, choice, trial)

    def ran(self, replaced: Mapping[str, Bundle], choice: Choice, trial: Trial) -> Outcome:
        """The class of a stack that runs; where that is below the floor, what would lift it."""
        before = self.reference(choice)
        ratio, unscaled = trial.ps / before.ps, trial.ps / self.native.ps
        unused = self.unused(replaced, trial)
        kind = "vacuous" if unused else self.kind(ratio)
        lift = self.first(self.kept_masks(replaced), replaced) if kind == "below-floor" else None
        return Outcome(
            kind,
            replaced,
            ratio,
            cofactors=lift or (),
            before=before,
            after=trial.timed,
            unscaled=unscaled,
            unused=unused,
        )

    def kind(self, ratio: float) -> str:
        """The class of a stack that runs on what was put in."""
        if ratio <= FREE:
            return "free"
        return "slower" if ratio <= self.floor else "below-floor"

    def unused(self, replaced: Mapping[str, Bundle], trial: Trial) -> Bundle:
        """What was put in and never called; of parts that stood there before, each counts too."""
        new = {slot: [p for p in b if p not in self.base[slot]] for slot, b in replaced.items()}
        tried = (new[slot] or bundle for slot, bundle in replaced.items())
        return tuple(part for parts in tried for part in parts if part not in trial.called)

    def reference(self, choice: Choice) -> Timed:
        """The run of the stack as it was, on a chip of the same peaks as that of ``choice``."""
        if choice["device"][0] is self.base["device"][0]:
            return self.native.timed
        return self.laboratory.at_peaks(self.base, choice)

    def failed(self, replaced: Mapping[str, Bundle], failure: Failure) -> Outcome:
        """Look for what must change too, or for the contracts that forbid it."""
        found = self.kept_masks(replaced)
        witness = self.first(found, replaced) or ()
        apart = self.fewest(replaced, below=len(witness) or len(SLOTS)) or len(witness)
        kind = "co" if witness else "blocked"
        blocking = () if witness else tuple(blocking_sets(found))
        return Outcome(kind, replaced, None, failure, witness, apart, blocking)

    def kept_masks(self, replaced: Mapping[str, Bundle]) -> Masks:
        """The masks of all stacks with the slots that are replaced, and those that stay."""
        kept = frozenset(self.keep) | replaced.keys()
        return masks_of(self.laboratory, self.options(replaced, kept))

    def all_masks(self, replaced: Mapping[str, Bundle]) -> Masks:
        """The masks of all stacks with the slots that are replaced."""
        return masks_of(self.laboratory, self.options(replaced, frozenset(replaced)))

    def options(self, replaced: Mapping[str, Bundle], kept: frozenset[str]) -> Options:
        """What may stand in each slot: what was asked for, what is kept, or anything."""
        fixed = {**self.base, **replaced}
        free = options_beside(self.laboratory.catalogue, self.base)
        return {s: (fixed[s],) if s in kept else free[s] for s in SLOTS}

    def first(self, found: Masks, replaced: Mapping[str, Bundle]) -> Changes | None:
        """The fastest stack above the floor with the fewest further slots changed, then by name."""
        for _, stacks in changes_by_size(found, self.base, frozenset(replaced)):
            programs = ((some, choice) for some in stacks for choice in of_all_programs(some))
            above = [(some, choice) for some, choice in programs if self.above_floor(choice)]
            if above:
                equal = chain(*starmap(of_one_program, self.fastest(above)))
                return min((self.changed(choice, replaced) for choice in equal), key=_names)
        return None

    def fewest(self, replaced: Mapping[str, Bundle], below: int) -> int | None:
        """How many further slots lift a failure, kept or not; None if not ``below`` a number."""
        if below == 1:
            return None  # without any the stack fails
        found = self.all_masks(replaced)
        for size, stacks in changes_by_size(found, self.base, frozenset(replaced)):
            if size >= below:
                return None
            if self.any_above(stacks):
                return size
        return None

    def can_move(self, replaced: Mapping[str, Bundle], below: int) -> bool:
        """Whether some stack with fewer than ``below`` further slots changed is above the floor.

        How many makes no difference, so that what has less changed need not be shown too slow.
        """
        found = few_changes(self.kept_masks(replaced), self.base, frozenset(replaced), below)
        return self.any_above([found])

    def any_above(self, stacks: Iterable[Masks]) -> bool:
        """Whether one of some stacks is above the floor.

        One is enough to know. Those of which a time or a bound is known are asked first, then those
        most like a stack of the catalogue, whose parts were made for each other; and bounds before
        times, of a FEW at a time.
        """
        laboratory, new = self.laboratory, dict[int | None, Choice]()
        for choice in chain(*map(of_all_programs, stacks)):
            program = laboratory.program(choice)
            timed = program in laboratory.times
            if (timed or program in laboratory.shorter) and self.by_bounds(choice):
                return True
            if not timed:
                new.setdefault(program, choice)
        asked = sorted(new.values(), key=laboratory.catalogue.likeness, reverse=True)
        parts = (asked[i : i + FEW] for i in range(0, len(asked), FEW))
        return any(any(map(self.by_bounds, p)) or any(map(self.above_floor, p)) for p in parts)

    def fastest(self, running: Sequence[tuple[Masks, Choice]]) -> Sequence[tuple[Masks, Choice]]:
        """Those of some stacks that run in the shortest time; what takes longer is not timed.

        Those that look fastest by bounds are timed first.
        """
        laboratory = self.laboratory
        if len({laboratory.program(choice) for _, choice in running}) == 1:
            return running
        best: Timed | None = None
        for _, choice in sorted(running, key=lambda some: self._at_most(some[1])):
            if best is None or laboratory.within(choice, best.ps):
                found = laboratory.time(choice)
                assert isinstance(found, Timed)
                best = found
        return [(f, c) for f, c in running if best and laboratory.within(c, best.ps)]

    def _at_most(self, choice: Choice) -> float:
        bound = self.laboratory.at_most(choice)
        return inf if isinstance(bound, EmuError) else bound

    def anywhere(self, outcome: Outcome) -> Changes:
        """The fewest further slots that lift a failure, be they kept or not."""
        if outcome.failure is None or outcome.apart == len(outcome.cofactors):
            return outcome.cofactors
        return self.first(self.all_masks(outcome.replaced), outcome.replaced) or ()

    def changed(self, choice: Choice, replaced: Mapping[str, Bundle]) -> Changes:
        """The further slots that differ from the stack as it was."""
        return tuple(
            (s, choice[s]) for s in SLOTS if s not in replaced and choice[s] != self.base[s]
        )

    def by_bounds(self, choice: Choice) -> bool | None:
        """Whether a stack that fits runs, and not below the floor; None if bounds do not tell."""
        most = self._most(choice)
        if self.laboratory.at_least(choice) > most:
            return False
        bound = self.laboratory.at_most(choice)
        if isinstance(bound, EmuError):
            return False
        return True if bound <= most else None

    def above_floor(self, choice: Choice) -> bool:
        """Whether a stack that fits runs, and not below the floor; by bounds where they tell."""
        told = self.by_bounds(choice)
        if told is not None:
            return told
        return self.laboratory.within(choice, self._most(choice))

    def _most(self, choice: Choice) -> float:
        """The longest time that is not below the floor."""
        return self.floor * self.reference(choice).ps


def _names(changed: Changes) -> str:
    return " ".join(f"{slot}={title(bundle)}" for slot, bundle in changed)
