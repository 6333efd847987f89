"""Which substitutions work together, exactly: all stacks of the catalogue, by masks of contracts.

A contract sees a few slots only, so it is executed once for each projection of a stack onto these;
the mask of a stack is the OR of what its projections say. A stack whose mask is 0 fits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, groupby, product
from math import prod

import numpy as np

from emu.ir.types import Array
from emu.lockin.contracts import CONTRACTS, NAMES, Contract
from emu.lockin.partitions import cuts, worth_trying
from emu.lockin.parts import SLOTS, Bundle, Catalogue, Choice
from emu.lockin.replays import program_slots, wishes
from emu.lockin.trial import Laboratory

Options = Mapping[str, Sequence[Bundle]]
DECIDING = ("compiler", "orchestrator")  # slots that decide on what a program follows from
FLOOR = "FLOOR"  # what a stack fails at that breaks no contract: it cannot run, or is too slow
BARRIERS = (*NAMES, FLOOR)
FLOOR_BIT = 1 << len(NAMES)
MANY = np.uint8(FLOOR_BIT - 1)  # a mask that is not 0


@dataclass(frozen=True)
class Masks:
    """The mask of every stack that can be made of ``options``, an axis for each slot."""

    options: Options
    table: Array

    @property
    def stacks(self) -> int:
        """How many stacks there are."""
        return int(self.table.size)

    def choice(self, place: Sequence[int]) -> Choice:
        """The stack at a place of the table."""
        return {slot: self.options[slot][i] for slot, i in zip(SLOTS, place, strict=True)}

    def only(self, kept: Options) -> "Masks":
        """Those stacks that have in each slot one of these bundles; all of them must be known."""
        table = self.table
        for axis, slot in enumerate(SLOTS):
            if list(kept[slot]) != list(self.options[slot]):
                places = [self.options[slot].index(bundle) for bundle in kept[slot]]
                table = _taken(table, axis, places)
        return Masks(kept, table)

    def knows(self, kept: Options) -> bool:
        """Whether the table has all stacks of some bundles."""
        return all(bundle in self.options[slot] for slot in SLOTS for bundle in kept[slot])

    def fitting(self) -> list[Choice]:
        """Every stack that breaks no contract."""
        return [self.choice([int(i) for i in place]) for place in np.argwhere(self.table == 0)]

    def one_of_each(self, slots: Sequence[str]) -> Iterator[Choice]:
        """The same one by one, but of stacks that are equal in these slots only the first."""
        others = [slot for slot in SLOTS if slot not in slots]
        shape = [len(self.options[slot]) for slot in slots]
        order = [SLOTS.index(slot) for slot in (*slots, *others)]
        fits = np.transpose(self.table == 0, order).reshape(*shape, -1)
        any_fits = fits.any(axis=-1)
        firsts: list[int] = fits.argmax(axis=-1)[any_fits].tolist()
        for place, first in zip(np.argwhere(any_fits).tolist(), firsts, strict=True):
            at = {slot: self.options[slot][i] for slot, i in zip(slots, place, strict=True)}
            for slot in reversed(others):
                first, i = divmod(first, len(self.options[slot]))
                at[slot] = self.options[slot][i]
            yield {slot: at[slot] for slot in SLOTS}

    def distinct(self) -> frozenset[int]:
        """Every mask that occurs."""
        return frozenset(int(mask) for mask in np.flatnonzero(np.bincount(self.table.ravel())))


def _taken(table: Array, axis: int, places: list[int]) -> Array:
    """Some places along an axis; a view where they lie side by side, which costs nothing."""
    first, count = places[0] if places else 0, len(places)
    if places != list(range(first, first + count)):
        return np.take(table, places, axis)
    some = [slice(None)] * table.ndim
    some[axis] = slice(first, first + count)
    return table[tuple(some)]


@lru_cache(maxsize=8)
def all_masks(laboratory: Laboratory) -> Masks:
    """The masks of all stacks of a catalogue, made once; a few tens of megabytes."""
    options = {slot: laboratory.catalogue.options(slot) for slot in SLOTS}
    # Orchestrators that are tried lie side by side, so that what is not costs no copy.
    return masks(laboratory, {**options, "orchestrator": sorted(options["orchestrator"], key=cuts)})


def options_beside(catalogue: Catalogue, base: Choice) -> Options:
    """What may stand in each slot of a stack beside what is there."""
    options = {slot: catalogue.options(slot) for slot in SLOTS}
    orchestrators = worth_trying(options["orchestrator"], base["orchestrator"])
    return {**options, "orchestrator": orchestrators}


def masks_of(laboratory: Laboratory, options: Options) -> Masks:
    """The masks of the stacks of ``options``, out of those of all stacks where they are known."""
    known = all_masks(laboratory)
    return known.only(options) if known.knows(options) else masks(laboratory, options)


def masks(laboratory: Laboratory, options: Options) -> Masks:
    """Execute every contract on every projection of the stacks of ``options``."""
    # Most questions are about one chip, so the stacks with one lie together.
    order = ("device", *(slot for slot in SLOTS if slot != "device"))
    lying = np.zeros([len(options[slot]) for slot in order], dtype=np.uint8)
    table = np.moveaxis(lying, 0, SLOTS.index("device"))
    table |= _joined(
        _projected(laboratory, contract, options) << np.uint8(NAMES.index(contract.name))
        for contract in CONTRACTS
    )
    return Masks(options, table)


def _joined(tables: Iterable[Array]) -> Array:
    """The OR of tables that broadcast; those that make the smallest table first."""
    rest: list[Array] = list(tables)
    while len(rest) > 1:
        one, other = min(combinations(rest, 2), key=_together)
        both: Array = np.bitwise_or(one, other)
        rest = [both, *(table for table in rest if table is not one and table is not other)]
    return rest[0]


def _together(pair: tuple[Array, Array]) -> int:
    """The size of the OR of two tables."""
    return prod(np.broadcast_shapes(*(table.shape for table in pair)))


def _projected(laboratory: Laboratory, contract: Contract, options: Options) -> Array:
    """Where a contract fails, as a table that has one entry along slots which it does not see."""
    told = [_told_apart(contract, slot, options[slot], laboratory) for slot in SLOTS]
    failing = [
        laboratory.meets(contract, _choice(kinds), tuple(seen for seen, _ in kinds)) is not None
        for kinds in product(*(kinds for kinds, _ in told))
    ]
    table = np.array(failing, dtype=np.uint8).reshape([len(kinds) for kinds, _ in told])
    return table[np.ix_(*(places for _, places in told))]


Kind = tuple[int, Bundle]  # the number of what a contract sees in a slot, and the first bundle


def _choice(kinds: Sequence[Kind]) -> Choice:
    return {slot: bundle for slot, (_, bundle) in zip(SLOTS, kinds, strict=True)}


def _told_apart(
    contract: Contract, slot: str, bundles: Sequence[Bundle], laboratory: Laboratory
) -> tuple[list[Kind], list[int]]:
    """The kinds of bundles that a contract tells apart, and of which kind each bundle is.

    For a slot that it does not see there is one, and one place that broadcasts to all.
    """
    some = bundles if slot in contract.slots else bundles[:1]
    number, catalogue = laboratory.meetings.number, laboratory.catalogue
    seen = [number(contract, slot, bundle, catalogue) for bundle in some]
    first = dict(zip(reversed(seen), reversed(some), strict=True))
    kinds = {one: (one, first[one]) for one in seen}
    place = {one: i for i, one in enumerate(kinds)}
    return [*kinds.values()], [place[one] for one in seen]


def co_substitutions(found: Masks, base: Choice, replaced: frozenset[str]) -> list[Choice]:
    """Stacks that fit with some further slots changed, no set of which contains another's.

    Those with the fewest changes come first, then by the names of the slots.
    """
    return [choice for _, stacks in least_changes(found, base, replaced) for choice in stacks()]


Least = tuple[frozenset[str], Callable[[], list[Choice]]]


def least_changes(found: Masks, base: Choice, replaced: frozenset[str]) -> Iterator[Least]:
    """The least sets of further slots with which a stack fits, and what makes their stacks.

    Sets are tried by size. Where no smaller set does, what fits has each slot of a set changed.
    """
    least: list[frozenset[str]] = []
    for slots in _sets(found.options, base, replaced):
        if any(smaller <= slots for smaller in least):
            continue
        free = slots | replaced
        some = found.only({s: found.options[s] if s in free else (base[s],) for s in SLOTS})
        if some.table.min() == 0:
            least.append(slots)
            yield slots, some.fitting


def changes_by_size(
    found: Masks, base: Choice, replaced: frozenset[str]
) -> Iterator[tuple[int, list[Masks]]]:
    """How many further slots are changed, the fewest first, and the stacks with just as many.

    They are cut by which slots are changed; where nothing fits they are left out.
    """
    if found.table.min():
        return
    sets = _sets(found.options, base, replaced)
    for size, equal in groupby(sets, key=len):
        cut = (_changed(found, base, slots, slots | replaced) for slots in equal)
        yield size, [some for some in cut if some.table.size and some.table.min() == 0]


def few_changes(found: Masks, base: Choice, replaced: frozenset[str], below: int) -> Masks:
    """The same stacks; those with ``below`` or more further slots changed do not fit."""
    if found.table.min():
        return found
    changed = np.zeros((1,) * len(SLOTS), dtype=np.uint8)
    for axis, slot in enumerate(SLOTS):
        if slot not in replaced:
            other = np.array([bundle != base[slot] for bundle in found.options[slot]], np.uint8)
            changed = changed + other.reshape([-1 if i == axis else 1 for i in range(len(SLOTS))])
    return Masks(found.options, np.where(changed < below, found.table, MANY))


def _changed(found: Masks, base: Choice, slots: frozenset[str], free: frozenset[str]) -> Masks:
    """The stacks with each of some further slots changed, and no other but those that are free.

    A view of the table tells at once where there are none.
    """
    options = {s: found.options[s] if s in free else (base[s],) for s in SLOTS}
    some = found.only(options)
    if some.table.min():
        return some
    return some.only(options | {s: [b for b in options[s] if b != base[s]] for s in slots})


def of_all_programs(found: Masks) -> Iterator[Choice]:
    """Stacks that fit, among which are all programs there are."""
    orchestrators = _by(cuts, found.options["orchestrator"])
    compilers = _by(wishes, found.options["compiler"])
    for pair in product(compilers, orchestrators):
        slots = program_slots(*(bundles[0] for bundles in pair))
        alike: Options = dict(zip(DECIDING, pair, strict=True))
        yield from found.only({**found.options, **alike}).one_of_each(slots)


def _by(differ: Callable[[Bundle], bool], bundles: Sequence[Bundle]) -> list[list[Bundle]]:
    """The bundles that a predicate holds for and those that it does not, whichever comes first."""
    told: dict[bool, list[Bundle]] = {}
    for bundle in bundles:
        told.setdefault(differ(bundle), []).append(bundle)
    return [*told.values()]


def of_one_program(found: Masks, choice: Choice) -> list[Choice]:
    """The stacks that fit and differ from one in nothing that its program follows from."""
    slots = program_slots(*(choice[slot] for slot in DECIDING))
    same: Options = {slot: (choice[slot],) for slot in slots}
    return found.only({**found.options, **same}).fitting()


def _sets(options: Options, base: Choice, replaced: frozenset[str]) -> list[frozenset[str]]:
    """The sets of further slots that can be changed, the smallest first, then by name.

    A slot that cannot stay as it was is in all of them.
    """
    further = [slot for slot in SLOTS if slot not in replaced]
    must = frozenset(slot for slot in further if base[slot] not in options[slot])
    can = [slot for slot in further if slot not in must and len(options[slot]) > 1]
    sets = [must.union(some) for n in range(len(can) + 1) for some in combinations(can, n)]
    return sorted(sets, key=lambda slots: (len(slots), sorted(slots)))


def blocking_sets(found: Masks) -> list[tuple[str, ...]]:
    """The minimal sets of contracts that together forbid every stack: minimal hitting sets.

    To be asked where no stack will do: those that break no contract fail at the FLOOR.
    """
    occurring = frozenset(mask or FLOOR_BIT for mask in found.distinct())
    least = [m for m in occurring if not any(o != m and o & m == o for o in occurring)]
    sets: list[int] = []
    for size in range(1, len(BARRIERS) + 1):
        for chosen in combinations(range(len(BARRIERS)), size):
            bits = sum(1 << i for i in chosen)
            hits_all = all(bits & mask for mask in least)
            if hits_all and not any(known & bits == known for known in sets):
                sets.append(bits)
    return [_names(bits) for bits in sets]


def _names(bits: int) -> tuple[str, ...]:
    return tuple(name for i, name in enumerate(BARRIERS) if bits >> i & 1)
