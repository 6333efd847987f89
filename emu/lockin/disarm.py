"""Disarming a type of lock-in: an edit of the catalogue, after which the same is tried again.

Performance lock-in is disarmed by kernels of vendor depth for every op, registered with whoever
asks, design lock-in by bridges from every dialect into every compiler, structural lock-in by
drivers that export everything to whoever asks, on chips whose instructions and firmware are
everybody's: code is made for all of them, and all are cut as any is. A type that improves an
outcome when it is disarmed is what held it; where none does alone, those that do together.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import combinations
from math import lcm
from types import MappingProxyType

from emu.lockin.contracts.binding import placement_of
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import SLOTS, Bundle, Catalogue, Choice, Fact, Interface, Offer, Part
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
    answers = _all_of(catalogue, "kernels")

    def deepened(library: Part) -> Part:
        exports = _joined(library.exports, answers)
        return replace(library, exports=exports, facts={**library.facts, **depth})

    deep = _edited(catalogue, "kernels", deepened)
    return replace(deep, interfaces={**catalogue.interfaces, **whole})


def design(catalogue: Catalogue) -> Catalogue:
    """A bridge from every dialect into every compiler."""
    bridges = _all_of(catalogue, "dialect")
    parsers = _disarmed({"parsers": {bridge.interface: bridge.most for bridge in bridges}})

    def bridged(compiler: Part) -> Part:
        imports = _joined(compiler.imports, bridges)
        return replace(compiler, imports=imports, facts={**compiler.facts, **parsers})

    return _edited(catalogue, "compiler", bridged)


def structural(catalogue: Catalogue) -> Catalogue:
    """Drivers that export all and take in all, and chips that anybody starts, cuts and programs."""
    shares = _shares(catalogue.parts["device"].values())
    images = _images(catalogue)
    edits: Mapping[str, Callable[[Part], Part]] = {
        "driver": lambda driver: _opened(catalogue, driver),
        "device": lambda device: _unlocked(device, _placement(device, shares)),
        "compiler": lambda compiler: _ported(compiler, images, catalogue),
        "kernels": lambda library: _ported(library, images, catalogue),
    }
    edited = catalogue
    for slot, edit in edits.items():
        edited = _edited(edited, slot, edit)
    return replace(edited, interfaces={**catalogue.interfaces, **_managed(catalogue)})


def _managed(catalogue: Catalogue) -> dict[str, Interface]:
    """Management interfaces that each have a function for every role that any of them has."""
    names = sorted(catalogue.of_kind("management"))
    tables = [catalogue.interfaces[name] for name in names]
    every = {role: said for table in reversed(tables) for role, said in table.table.items()}
    first = dict.fromkeys(every, 1)
    return {
        t.name: replace(t, table={**every, **t.table}, since={**first, **t.since}) for t in tables
    }


def _images(catalogue: Catalogue) -> tuple[Offer, ...]:
    """Code for every chip: an instruction set in the oldest version that a chip with it has."""
    kinds = catalogue.of_kind("isa")
    offers = [o for d in catalogue.parts["device"].values() for o in d.exports]
    names = sorted({o.interface for o in offers if o.interface in kinds})
    return tuple(Offer(n, 1, min(o.most for o in offers if o.interface == n)) for n in names)


def _ported(maker: Part, images: tuple[Offer, ...], catalogue: Catalogue) -> Part:
    """A library, or a compiler that makes code, with an image for every chip."""
    code = catalogue.of_kind("isa") | catalogue.of_kind("portable")
    if not any(offer.interface in code for offer in maker.exports):
        return maker
    return replace(maker, exports=_joined(maker.exports, images))


def _shares(devices: Iterable[Part]) -> tuple[Fraction, ...]:
    """Each share that any chip can be cut into."""
    return tuple(sorted({p.share for d in devices for p in placement_of(d).profiles.values()}))


def _placement(device: Part, shares: tuple[Fraction, ...]) -> dict[str, object]:
    """Facts of a chip that has each of some shares, wherever there is room for it.

    Those that it has anyway keep the memory that goes with them.
    """
    found = placement_of(device)
    own = {p.share: Fraction(p.slices, found.slices) for p in found.profiles.values()}
    memory = {share: own.get(share, share) for share in shares}
    slices = lcm(*(part.denominator for part in memory.values()))
    rows = [
        {
            "name": str(share),
            "cores": share.numerator,
            "of": share.denominator,
            "slices": int(part * slices),
            "starts": list(range(slices - int(part * slices) + 1)),
        }
        for share, part in memory.items()
    ]
    table = {"slices": slices, "most": slices, "profiles": rows}
    return {"placement_kind": "table", "placement": table}


def _opened(catalogue: Catalogue, driver: Part) -> Part:
    """A driver of every chip that exports all functions, needs none, and loads all images."""
    functions = catalogue.of_kind("functions")
    own = tuple(offer for offer in driver.imports if offer.interface not in functions)
    exports = (*_all_of(catalogue, "functions"), *_all_of(catalogue, "management"))
    imports = (*_all_of(catalogue, "portable"), *_all_of(catalogue, "isa"))
    chips = sorted(device.fact("chip_id") for device in catalogue.parts["device"].values())
    facts = {"closed": [], "chip_ids": chips, "exact_isa": False, "firmware_version": ANY}
    return replace(
        driver,
        exports=_joined(driver.exports, exports),
        imports=_joined(own, imports),
        facts={**driver.facts, **_disarmed(facts)},
    )


def _unlocked(device: Part, placement: Mapping[str, object]) -> Part:
    """A chip whose key opens everything: all numbers are equal modulo 1."""
    facts = {"rom_modulus": "1", "firmware_version": ANY, **placement}
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


def _alike(one: Part, other: Part) -> bool:
    return all(getattr(one, f.name) == getattr(other, f.name) for f in fields(Part))


class Worlds:
    """A catalogue with some types of lock-in disarmed; each is made once, programs run once."""

    def __init__(self, laboratory: Laboratory) -> None:
        """Take the laboratory of the catalogue as it is."""
        self.made: dict[frozenset[str], Laboratory] = {frozenset(): laboratory}
        self.edited: dict[tuple[str, str], list[Part]] = {}

    def without(self, types: frozenset[str]) -> Laboratory:
        """The laboratory where these types of lock-in are gone."""
        if types not in self.made:
            armed = self.made[frozenset()]
            catalogue = armed.catalogue
            for name in sorted(types):
                catalogue = TYPES[name](catalogue)
            for slot in SLOTS:
                catalogue = _edited(catalogue, slot, self.once)
            # A part that is edited is another part, so what contracts said of others still holds.
            self.made[types] = replace(armed, catalogue=catalogue)
        return self.made[types]

    def once(self, part: Part) -> Part:
        """The first part that is alike: contracts are met once with what two worlds share."""
        known = self.edited.setdefault((part.slot, part.name), [])
        first = next((other for other in known if _alike(other, part)), None)
        if first is None:
            known.append(part)
        return first or part


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
        """The types whose disarming improves an outcome: each alone, else the fewest together.

        What is blocked must be held by something: if it never runs above the floor, by the types
        without which the stack that was asked for breaks no contract.
        """
        if outcome.kind in ("free", "vacuous", "native-failure"):
            return ()
        if outcome.kind != "blocked":
            return _named(
                [(name,) for name in TYPES if self._improves(frozenset((name,)), outcome)]
            )
        held = self._fewest(lambda types: self._improves(types, outcome))
        return _named(held or self._fewest(lambda types: self._fits(types, outcome)))

    def _fewest(self, lifts: Callable[[frozenset[str]], bool]) -> Sequence[tuple[str, ...]]:
        """The smallest sets of types that lift something, all of one size."""
        for size in range(1, len(TYPES) + 1):
            held = [names for names in combinations(TYPES, size) if lifts(frozenset(names))]
            if held:
                return held
        return ()

    def _fits(self, types: frozenset[str], outcome: Outcome) -> bool:
        bench = self.without(types)
        replaced = same(bench.laboratory.catalogue, outcome.replaced)
        return bench.laboratory.refusal({**bench.base, **replaced}) is None

    def _improves(self, types: frozenset[str], outcome: Outcome) -> bool:
        bench = self.without(types)
        replaced = same(bench.laboratory.catalogue, outcome.replaced)
        if outcome.kind not in ("co", "blocked"):
            return better(bench.swap(replaced), outcome)
        most = len(outcome.cofactors) if outcome.kind == "co" else len(SLOTS)
        return bench.can_move(replaced, below=most)


def _named(held: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(name for name in TYPES if any(name in names for names in held))


def better(new: Outcome, old: Outcome) -> bool:
    """Whether an outcome is of a better class, needs fewer further slots, or is faster."""
    if new.kind != old.kind:
        return RANK.index(new.kind) < RANK.index(old.kind)
    if new.ratio is not None and old.ratio is not None:
        return new.ratio < old.ratio * BETTER_BY
    return new.kind == "co" and len(new.cofactors) < len(old.cofactors)
