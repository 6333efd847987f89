"""Disarming a type of lock-in: an edit of the catalogue, after which the same is tried again.

Performance lock-in is disarmed by kernels of vendor depth for every op, design lock-in by bridges
from every dialect into every compiler, structural lock-in by drivers that export everything to
whoever asks, on chips whose instructions and firmware are everybody's. A type that improves an
outcome when it is disarmed is what held it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import SLOTS, Bundle, Catalogue, Choice, Fact, Offer, Part
from emu.lockin.search import least_changes
from emu.lockin.trial import Laboratory

Edit = Callable[[Catalogue], Catalogue]
RANK = ("free", "slower", "co", "below-floor", "vacuous", "blocked", "native-failure")
ANY = "any"  # the firmware version of chips and drivers that ask for none
BETTER_BY = 0.99  # a ratio that shrinks by less than a hundredth is no improvement


def performance(catalogue: Catalogue) -> Catalogue:
    """Kernels of vendor depth, for every op that any table has."""
    tables = [i for i in catalogue.interfaces.values() if i.kind == "kernels"]
    every = {op: said for table in tables for op, said in table.table.items()}
    whole = {t.name: replace(t, table=every, since=dict.fromkeys(every, 1)) for t in tables}
    depth = {"depth": Fact("vendor", "disarmed")}
    deep = _edited(catalogue, "kernels", lambda p: replace(p, facts={**p.facts, **depth}))
    return replace(deep, interfaces={**catalogue.interfaces, **whole})


def design(catalogue: Catalogue) -> Catalogue:
    """A bridge from every dialect into every compiler."""
    bridges = _all_of(catalogue, "dialect")
    return _edited(catalogue, "compiler", lambda p: replace(p, imports=_joined(p.imports, bridges)))


def structural(catalogue: Catalogue) -> Catalogue:
    """Drivers that export all and take in all, on chips that start whatever firmware comes."""
    drivers = _edited(catalogue, "driver", lambda driver: _opened(catalogue, driver))
    return _edited(drivers, "device", _unlocked)


def _opened(catalogue: Catalogue, driver: Part) -> Part:
    """A driver of every chip that exports all functions and loads all images."""
    exports = (*_all_of(catalogue, "functions"), *_all_of(catalogue, "management"))
    imports = (*_all_of(catalogue, "portable"), *_all_of(catalogue, "isa"))
    chips = sorted(device.fact("chip_id") for device in catalogue.parts["device"].values())
    facts = {"closed": [], "chip_ids": chips, "exact_isa": False, "firmware_version": ANY}
    return replace(
        driver,
        exports=_joined(driver.exports, exports),
        imports=_joined(driver.imports, imports),
        facts={**driver.facts, **_disarmed(facts)},
    )


def _unlocked(device: Part) -> Part:
    """A chip whose key opens everything: all numbers are equal modulo 1."""
    facts = {"rom_modulus": "1", "firmware_version": ANY}
    return replace(device, facts={**device.facts, **_disarmed(facts)})


def _disarmed(facts: Mapping[str, object]) -> dict[str, Fact]:
    return {key: Fact(value, "disarmed") for key, value in facts.items()}


TYPES: Mapping[str, Edit] = MappingProxyType(
    {"performance": performance, "design": design, "structural": structural}
)


def _all_of(catalogue: Catalogue, kind: str) -> tuple[Offer, ...]:
    return tuple(
        Offer(name, 1, catalogue.interfaces[name].newest)
        for name in sorted(catalogue.of_kind(kind))
    )


def _joined(own: tuple[Offer, ...], more: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """A part's own offers first, each of the others as wide as it is."""
    wide = {offer.interface: offer for offer in more}
    kept = tuple(wide.pop(offer.interface, offer) for offer in own)
    return (*kept, *wide.values())


def _edited(catalogue: Catalogue, slot: str, edit: Callable[[Part], Part]) -> Catalogue:
    """The catalogue with each part of a slot edited, in its stacks too."""
    parts = {name: edit(part) for name, part in catalogue.parts[slot].items()}
    stacks = {
        name: {**choice, slot: tuple(parts[part.name] for part in choice[slot])}
        for name, choice in catalogue.stacks.items()
    }
    return replace(catalogue, parts={**catalogue.parts, slot: parts}, stacks=stacks)


def same(catalogue: Catalogue, choice: Mapping[str, Bundle]) -> Choice:
    """The parts of the same names in another catalogue."""
    return {
        slot: tuple(catalogue.parts[slot][part.name] for part in bundle)
        for slot, bundle in choice.items()
    }


class Worlds:
    """A catalogue with some types of lock-in disarmed; each is made once, programs run once."""

    def __init__(self, laboratory: Laboratory) -> None:
        """Take the laboratory of the catalogue as it is."""
        self.made: dict[frozenset[str], Laboratory] = {frozenset(): laboratory}

    def without(self, types: frozenset[str]) -> Laboratory:
        """The laboratory where these types of lock-in are gone."""
        if types not in self.made:
            armed = self.made[frozenset()]
            catalogue = armed.catalogue
            for name in sorted(types):
                catalogue = TYPES[name](catalogue)
            # A part that is edited is another part, so what contracts said of others still holds.
            self.made[types] = replace(armed, catalogue=catalogue)
        return self.made[types]


@dataclass(frozen=True)
class Disarmed:
    """The stack of a bench in the worlds where some types of lock-in are disarmed."""

    bench: Bench
    worlds: Worlds

    def without(self, types: frozenset[str]) -> Bench:
        """The bench where these types of lock-in are gone."""
        laboratory = self.worlds.without(types)
        return replace(
            self.bench, laboratory=laboratory, base=same(laboratory.catalogue, self.bench.base)
        )

    def types(self, outcome: Outcome) -> tuple[str, ...]:
        """The types of lock-in whose disarming improves an outcome."""
        if outcome.kind in ("free", "vacuous", "native-failure"):
            return ()
        return tuple(name for name in TYPES if self._improves(name, outcome))

    def _improves(self, name: str, outcome: Outcome) -> bool:
        bench = self.without(frozenset((name,)))
        replaced = same(bench.laboratory.catalogue, outcome.replaced)
        if outcome.kind not in ("co", "blocked"):
            return better(bench.swap(replaced), outcome)
        most = len(outcome.cofactors) if outcome.kind == "co" else len(SLOTS)
        return can_move(bench, replaced, most)


def can_move(bench: Bench, replaced: Mapping[str, Bundle], most: int) -> bool:
    """Whether a substitution works with fewer than ``most`` further slots changed."""
    found = bench.kept_masks(replaced)
    least = next(least_changes(found, bench.base, frozenset(replaced)), None)
    if least is None or len(least[0]) >= most:
        return False  # contracts alone say so, and nothing needs to be timed
    changed = bench.first(found, replaced)
    return changed is not None and len(changed) < most


def better(new: Outcome, old: Outcome) -> bool:
    """Whether an outcome is of a better class, needs fewer further slots, or is faster."""
    if new.kind != old.kind:
        return RANK.index(new.kind) < RANK.index(old.kind)
    if new.ratio is not None and old.ratio is not None:
        return new.ratio < old.ratio * BETTER_BY
    return new.kind == "co" and len(new.cofactors) < len(old.cofactors)
