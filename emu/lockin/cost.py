"""What it costs to move a stack to another chip: work, capacity and two fleets side by side.

Work is counted in items: a model source to port, kernels to write, entries of adapters to write,
interfaces to qualify again, also those of parts that work is done on. A type of lock-in that is
armed can be bought off where work can do so: performance by kernels of vendor depth, design by
adapters between dialects; a closed driver cannot.
The stack is taken that is cheapest; those that are native to the chip are always among them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType

from emu.ir.errors import EmuError
from emu.lockin.contracts import CONTRACTS
from emu.lockin.disarm import TYPES, Worlds, same
from emu.lockin.outcome import Bench
from emu.lockin.parts import SLOTS, Choice, Part, title
from emu.lockin.prices import Prices
from emu.lockin.search import least_changes, masks_of, options_beside
from emu.lockin.trial import Laboratory

WORK = ("port", "kernels", "adapters", "requalify")
ITEMS = (*WORK, "capacity", "dual")
# Types that work can buy off, and what it then writes parts of.
BOUGHT_BY_WORK = MappingProxyType({"performance": "kernels", "design": "compiler"})
YEAR_DAYS = 365
# Slots that meet in a contract have an interface, which is qualified again if a side changes.
PAIRS = sorted({pair for c in CONTRACTS for pair in combinations(sorted(c.slots), 2)})

Types = frozenset[str]


@dataclass(frozen=True)
class Moved:
    """A stack to move to: what work buys off, US dollars by item, and the ratio of times."""

    choice: Choice
    bought: Types
    usd: Mapping[str, float]
    ratio: float

    @property
    def total(self) -> float:
        """US dollars of all items."""
        return sum(self.usd.values())


@dataclass(frozen=True)
class Mover:
    """Moves the stack of a bench to a chip, with some types of lock-in armed."""

    bench: Bench
    worlds: Worlds
    prices: Prices
    fitting: dict[tuple[Part, Laboratory], tuple["Names", ...]] = field(
        default_factory=dict[tuple[Part, Laboratory], tuple["Names", ...]]
    )

    def cheapest(self, chip: Part, armed: Types) -> Moved | None:
        """The cheapest stack on a chip; None if no stack of the catalogue runs there."""
        best: Moved | None = None
        for days, bought, choice in sorted(self._candidates(chip, armed), key=_order):
            if best is not None and self._least(days) >= best.total:
                break  # even at full speed it costs more
            moved = self._timed(days, bought, choice, armed)
            if moved is not None and (best is None or moved.total < best.total):
                best = moved
        return best

    def _least(self, days: Mapping[str, float]) -> float:
        return sum(self._usd(days, ratio=1.0).values())

    def _candidates(self, chip: Part, armed: Types) -> Iterator["Candidate"]:
        """What can be moved to; what fits with more types armed fits with fewer too."""
        for bought in subsets(armed.intersection(BOUGHT_BY_WORK)):
            catalogue = self._without(armed, bought).catalogue
            found = dict.fromkeys(
                names
                for more in subsets(frozenset(TYPES))
                if armed <= more
                for names in self._fitting(chip, self._without(more, bought))
            )
            for names in found:
                choice = {
                    slot: tuple(catalogue.parts[slot][name] for name in bundle)
                    for slot, bundle in zip(SLOTS, names, strict=True)
                }
                yield self.work(choice, bought), bought, choice

    def _without(self, armed: Types, bought: Types) -> Laboratory:
        return self.worlds.without((frozenset(TYPES) - armed) | bought)

    def _fitting(self, chip: Part, laboratory: Laboratory) -> tuple["Names", ...]:
        """Stacks on a chip that break no contract: the least changes, and what is native there."""
        key = chip, laboratory
        if key not in self.fitting:
            found = (*self._least_changes(chip, laboratory), *_native(chip, laboratory))
            self.fitting[key] = tuple(_named(choice) for choice in found)
        return self.fitting[key]

    def _least_changes(self, chip: Part, laboratory: Laboratory) -> Iterator[Choice]:
        catalogue = laboratory.catalogue
        base = same(catalogue, self.bench.base)
        options = {**options_beside(catalogue, base), "device": ((chip,),)}
        found = masks_of(laboratory, options)
        for _, stacks in least_changes(found, base, frozenset({"device"})):
            yield from stacks()

    def work(self, choice: Choice, bought: Types) -> Mapping[str, float]:
        """Working days by item of work."""
        price, base = self.prices, same(self.bench.laboratory.catalogue, self.bench.base)
        changed = {s for s in SLOTS if title(choice[s]) != title(base[s])}
        nodes = len(self.bench.laboratory.source.graph.nodes)
        return {
            "port": nodes * price.port_days_per_node.value if "front_end" in changed else 0.0,
            "kernels": self._kernels(choice, bought) * price.kernel_days.value,
            "adapters": self._entries(bought, changed) * price.adapter_days_per_entry.value,
            "requalify": self._requalify(changed | {BOUGHT_BY_WORK[name] for name in bought}),
        }

    def _kernels(self, choice: Choice, bought: Types) -> int:
        """Ops of the model for which the libraries, as they are, have no kernel of vendor depth."""
        if "performance" not in bought:
            return 0
        catalogue = self.bench.laboratory.catalogue
        deep = {
            op
            for part in same(catalogue, choice)["kernels"]
            for offer in part.exports
            if part.fact("depth") == "vendor"
            for op in catalogue.interfaces[offer.interface].upto(offer.most)
        }
        return len(self._ops() - deep)

    def _entries(self, bought: Types, changed: set[str]) -> int:
        """Ops to map from one dialect to another, and demands to map to other functions.

        Who leaves keeps demanding what was demanded, whatever the new orchestrator comes with.
        """
        intents = set(self.bench.base["orchestrator"][0].fact("intents"))
        mapped = len(intents) if "orchestrator" in changed else 0
        return mapped + (len(self._ops()) if "design" in bought else 0)

    def _ops(self) -> set[str]:
        return {node.op for node in self.bench.laboratory.source.graph.nodes}

    def _requalify(self, changed: set[str]) -> float:
        sides = [len(changed.intersection(pair)) for pair in PAIRS]
        one, both = self.prices.requalify_one_side_days, self.prices.requalify_both_sides_days
        return sides.count(1) * one.value + sides.count(2) * both.value

    def _timed(
        self, days: Mapping[str, float], bought: Types, choice: Choice, armed: Types
    ) -> Moved | None:
        """A candidate with its capacity; None if it does not run."""
        timed = self._without(armed, bought).time(choice)
        if isinstance(timed, EmuError):
            return None
        known = same(self.bench.laboratory.catalogue, choice)
        ratio = timed.ps / self.bench.reference(known).ps
        return Moved(choice, bought, self._usd(days, ratio), ratio)

    def _usd(self, days: Mapping[str, float], ratio: float) -> Mapping[str, float]:
        """US dollars by item: work, chips that make up for lost speed, and both fleets meanwhile.

        While people work, on working days, the fleet runs twice, on all days; what is slower runs
        on more chips.
        """
        price = self.prices
        fleet_usd_per_day = price.fleet_chips.value * price.chip_usd_per_day.value
        calendar = YEAR_DAYS / price.working_days_per_year.value
        meanwhile = sum(days.values()) / price.engineers.value * calendar
        usd = {item: count * price.engineer_usd_per_day.value for item, count in days.items()}
        lost = max(0.0, ratio - 1.0)
        usd["capacity"] = fleet_usd_per_day * price.horizon_days.value * lost
        return {**usd, "dual": fleet_usd_per_day * meanwhile * max(1.0, ratio)}


Names = tuple[tuple[str, ...], ...]  # of the parts in each slot
Candidate = tuple[Mapping[str, float], Types, Choice]


def _named(choice: Choice) -> Names:
    return tuple(tuple(part.name for part in choice[slot]) for slot in SLOTS)


def _native(chip: Part, laboratory: Laboratory) -> Iterator[Choice]:
    """The stacks of a catalogue on a chip that break no contract."""
    for stack in laboratory.catalogue.stacks.values():
        if stack["device"] == (chip,) and laboratory.refusal(stack) is None:
            yield stack


def _order(candidate: Candidate) -> tuple[float, str]:
    """Least work first, then by name."""
    days, bought, choice = candidate
    return sum(days.values()), " ".join((*sorted(bought), *(title(choice[s]) for s in SLOTS)))


@dataclass(frozen=True)
class Leaving:
    """What a move to one chip costs with each set of types armed, and how the types interact."""

    chip: Part
    moves: Mapping[Types, Moved]

    @property
    def held(self) -> Moved:
        """The move as things are, with all types armed."""
        return self.moves[frozenset(TYPES)]

    def added(self, armed: Types, item: str) -> float:
        """v(S): US dollars of an item with some types armed, above those with none."""
        return self.moves[armed].usd[item] - self.moves[frozenset()].usd[item]

    def interaction(self, types: Types, item: str) -> float:
        """The Harsanyi dividend of some types: what they add together beyond their subsets.

        It is the sum over subsets of v with alternating signs (Harsanyi 1963); above zero they
        make each other dearer, below zero they share work.
        """
        return sum(
            (-1.0) ** (len(types) - len(subset)) * self.added(subset, item)
            for subset in subsets(types)
        )


def subsets(types: Types) -> list[Types]:
    """All subsets, the smaller ones first, in the order of the types."""
    names = [name for name in TYPES if name in types]
    return [frozenset(s) for size in range(len(names) + 1) for s in combinations(names, size)]


def leaving(mover: Mover) -> list[Leaving]:
    """The move to the chip of every other stack that can be moved to."""
    stacks = mover.bench.laboratory.catalogue.stacks.values()
    chips = dict.fromkeys(stack["device"][0] for stack in stacks)
    found: list[Leaving] = []
    for chip in chips:
        if chip in mover.bench.base["device"]:
            continue
        moves = {armed: mover.cheapest(chip, armed) for armed in subsets(frozenset(TYPES))}
        known = {armed: moved for armed, moved in moves.items() if moved is not None}
        if len(known) == len(moves):
            found.append(Leaving(chip, known))
    return found
