"""Regions tried in whole runs: the largest gain first, equal ones together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from emu.ir.fusion.cut import cut
from emu.ir.fusion.deciders.queue import Offer
from emu.ir.fusion.deciders.verdicts import decision
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.pricing import Pricing
from emu.ir.fusion.space import Space
from emu.ir.group import Decision


@dataclass
class Trials:
    """Merges offers into ``grouping`` while the whole run becomes faster; keeps the reasons."""

    space: Space
    grouping: Grouping
    pricing: Pricing
    decisions: list[Decision] = field(default_factory=list[Decision])
    best_ps: int = 0
    tried_ps: int = 0

    def in_turn(self, offers: Iterable[Offer]) -> list[Decision]:
        """Try offers by their gain, and return the decisions on all of them."""
        self.best_ps = self.run(())
        for _, equal in groupby(sorted(offers, key=self.rank), key=lambda o: self.rank(o)[:-1]):
            self.try_class(list(equal))
        return self.decisions

    def rank(self, offered: Offer) -> tuple[int, tuple[str, ...], tuple[int, ...]]:
        """Largest gain first; equal gains of equal ops are one class."""
        nodes = offered.move.nodes
        ops = tuple(self.space.structure.op(i) for i in nodes)
        return -offered.gain_ps, ops, self.grouping.groups_of(nodes)

    def try_class(self, offers: Sequence[Offer]) -> None:
        """Try equal offers together; those that are left, each on its own."""
        apart = self.disjoint(offers)
        done = apart if len(apart) > 1 and self.accept(apart) else []
        for offered in offers:
            if offered in done:
                continue
            if not self.is_whole(offered):
                why = "a better region has some of its groups"
                self.decide(offered, False, why, {}, "global:overlap")
            elif not self.accept([offered]):
                numbers = {"run_ps": self.tried_ps, "without_ps": self.best_ps}
                self.decide(offered, False, "the whole run is not faster", numbers)

    def disjoint(self, offers: Sequence[Offer]) -> list[Offer]:
        """Offers whose groups are as they were, and that share none."""
        taken: set[int] = set()
        found: list[Offer] = []
        for offered in offers:
            if self.is_whole(offered) and taken.isdisjoint(offered.move.nodes):
                taken.update(offered.move.nodes)
                found.append(offered)
        return found

    def is_whole(self, offered: Offer) -> bool:
        """Whether the groups of an offer have not been merged otherwise."""
        nodes = offered.move.nodes
        return self.grouping.union(self.grouping.groups_of(nodes)) == nodes

    def accept(self, offers: Sequence[Offer]) -> bool:
        """Merge offers if the whole run becomes faster with all of them."""
        self.tried_ps = self.run(offers)
        if self.tried_ps >= self.best_ps:
            return False
        for offered in offers:
            numbers = {"run_ps": self.tried_ps, "without_ps": self.best_ps}
            self.decide(offered, True, "the whole run is faster", numbers)
            self.grouping.merge(self.grouping.groups_of(offered.move.nodes))
        self.best_ps = self.tried_ps
        return True

    def run(self, offers: Sequence[Offer]) -> int:
        """Picoseconds of a whole run with these offers merged too."""
        merged = {g for o in offers for g in self.grouping.groups_of(o.move.nodes)}
        members = [nodes for g, nodes in self.grouping.members.items() if g not in merged]
        members += [o.move.nodes for o in offers]
        return self.pricing.run(cut(self.space.graph, "global", members, ()))

    def decide(
        self,
        offered: Offer,
        ok: bool,
        text: str,
        numbers: Mapping[str, int],
        code: str = "global:cost",
    ) -> None:
        """Keep the decision on an offer, with how its group would run."""
        known = {**numbers, **offered.quote.numbers}
        self.decisions.append(decision(self.space, offered.move, ok, text, known, code))
