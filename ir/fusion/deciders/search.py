"""The search decider: the cheapest grouping of a scope under the device's clock, within a budget.

It starts from the cheapest of what every other decider chose and of the winner of the smaller
scope, so it is never slower than any of them. On a small graph all groupings are visited and the
winner is proved; on a larger one merges and cuts are tried, equal ones at once, the largest gain
alone first, until none makes the whole run faster or the budget is spent.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from emu.ir.fusion.changes import Change, Step, applied, changes
from emu.ir.fusion.cut import cut
from emu.ir.fusion.deciders.first_match import first_match
from emu.ir.fusion.deciders.greedy import greedy
from emu.ir.fusion.deciders.post_dominator import post_dominator
from emu.ir.fusion.deciders.priority import partition_of, priority
from emu.ir.fusion.deciders.runs import Runs
from emu.ir.fusion.exact import groupings
from emu.ir.fusion.pricing import Pricing
from emu.ir.fusion.scopes import scopes_within
from emu.ir.fusion.space import Space
from emu.ir.fusion.structure import Partition
from emu.ir.group import Decision, Fused


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one scope may cost to search.

    Graphs of up to ``nodes`` nodes have few enough groupings that a proof is worth trying; it may
    visit ``visited`` beginnings of groupings. Beside the starting points and a proof, whole runs of
    up to ``launches`` launches may be priced.
    """

    nodes: int = 12
    visited: int = 1000
    launches: int = 4000


Rival = Callable[[Space, str, Pricing], Fused]
ANYWHERE: Mapping[str, Rival] = MappingProxyType(
    {"first-match": first_match, "greedy": greedy, "priority": priority}
)
BY_RULE: Mapping[str, Rival] = MappingProxyType({"post-dominator": post_dominator, **ANYWHERE})
RIVALS: Mapping[str, Mapping[str, Rival]] = MappingProxyType(
    {
        "none": MappingProxyType({"first-match": first_match}),
        "pattern": ANYWHERE,
        "vertical": BY_RULE,
        "horizontal": BY_RULE,
        "global": ANYWHERE,
    }
)


BUDGET = Budget()
OF_A_SCOPE = ("search:start", "search:proved", "search:best", "search:slower")


def search(space: Space, scope: str, pricing: Pricing, budget: Budget = BUDGET) -> Fused:
    """Return the cheapest grouping of any scope; a decision says whether it is proved."""
    runs = Runs(space, pricing)
    smaller: dict[str, Fused] = {}
    for name in scopes_within(scope):
        rivals = {who: choose(space, name, runs) for who, choose in RIVALS[name].items()}
        start = _start(runs, {**smaller, **rivals})
        best = _Hunt(runs, name, start, budget).best()
        lost = _lost(runs, rivals, best)
        smaller = {f"{name}-search": replace(best, decisions=(*best.decisions, *lost))}
    return next(iter(smaller.values()))


def _start(runs: Runs, found: Mapping[str, Fused]) -> Fused:
    """The cheapest of the smaller scope's winner and of the other deciders' answers."""
    prices = {name: runs.run(fused) for name, fused in found.items()}
    best = min(prices, key=lambda name: prices[name])
    why = f"the search begins with the groups of {best}"
    numbers = {f"{name}_ps": ps for name, ps in prices.items()}
    begun = Decision(True, "search:start", why, _ends(runs.space), numbers)
    # What the search in a smaller scope said about itself is not about this one.
    kept = (d for d in found[best].decisions if d.code not in OF_A_SCOPE)
    return replace(found[best], decisions=(*kept, begun))


def _lost(runs: Runs, rivals: Mapping[str, Fused], best: Fused) -> Iterator[Decision]:
    """Why groups that other deciders made are neither in the winner nor in a group of it."""
    owner = {node: group for group in best.groups for node in group.nodes}
    seen: set[tuple[str, ...]] = set()
    for name, fused in rivals.items():
        for nodes in (group.nodes for group in fused.groups):
            if nodes in seen or set(nodes) <= set(owner[nodes[0]].nodes):
                continue
            seen.add(nodes)
            quote = runs.alone([runs.space.graph.position[n] for n in nodes])
            why = f"with all groups of {name} the whole run is not faster"
            known = {"run_ps": runs.run(fused), "best_ps": runs.run(best), **quote.numbers}
            yield Decision(False, "search:slower", why, nodes, known)


def _ends(space: Space) -> tuple[str, ...]:
    """The first and the last node: what a decision about a whole graph names."""
    nodes = space.graph.nodes
    return tuple(dict.fromkeys(node.id for node in (*nodes[:1], *nodes[-1:])))


class _Hunt:
    """The hunt for something cheaper than where one scope starts."""

    def __init__(self, runs: Runs, scope: str, start: Fused, budget: Budget) -> None:
        self.runs = runs
        self.space = runs.space
        self.scope = scope
        self.partition: Partition = tuple(sorted(partition_of(start)))
        self.decisions = list(start.decisions)
        self.start_ps = self.ps = runs.run(start)
        self.visited = 0
        self.budget = budget
        self.begun = runs.launches

    def best(self) -> Fused:
        """The winner, with every decision on the way."""
        small = len(self.space.graph.nodes) <= self.budget.nodes
        if not (small and self.prove()):
            self.improve()
        return cut(self.space.graph, self.scope, self.partition, self.decisions)

    def prove(self) -> bool:
        """Visit all groupings; False if there are too many, the best so far being kept."""
        for partition in groupings(self.space, self.scope, self.worth):
            self.keep(partition, self.runs.price(self.scope, partition))
        if self.visited > self.budget.visited:
            return False
        nodes = tuple(node.id for node in self.space.graph.nodes)
        why = "proved: no grouping that the scope allows makes the whole run faster"
        self.say("search:proved", why, nodes, {"visited": self.visited})
        return True

    def worth(self, tail: Partition) -> bool:
        """Whether a grouping that ends with these groups could be faster than the best so far."""
        self.visited += 1
        few = self.visited <= self.budget.visited
        return few and self.runs.at_least(self.scope, tail) < self.ps

    def keep(self, partition: Partition, ps: int) -> bool:
        """Take a grouping as the best so far if it is faster."""
        if ps >= self.ps:
            return False
        self.partition, self.ps = partition, ps
        return True

    def improve(self) -> None:
        """Make changes while the whole run becomes faster, sweep after sweep."""
        self.begun, improved = self.runs.launches, True
        while improved and not self.spent:
            improved = any([self.tried(change) for change in self.ranked()])
        why = "not proved: no change makes the whole run faster"
        if self.spent:
            why = "not proved: the budget of launches to price is spent"
        self.say("search:best", why, _ends(self.space), {"priced": len(self.runs.known)})

    def say(self, code: str, why: str, nodes: tuple[str, ...], numbers: Mapping[str, int]) -> None:
        """Decide that the best so far stays."""
        known = {"run_ps": self.ps, "start_ps": self.start_ps, **numbers}
        self.decisions.append(Decision(True, code, why, nodes, known))

    @property
    def spent(self) -> bool:
        """Whether the node budget of the scope is used up."""
        return self.runs.launches - self.begun >= self.budget.launches

    def ranked(self) -> list[Change]:
        """The changes that could be made now, the largest gain alone first."""
        found = changes(self.space, self.scope, self.partition, self.runs)
        return sorted(found, key=lambda change: -change.gain_ps)

    def tried(self, change: Change) -> bool:
        """Make a change if the whole run becomes faster, and say why or why not."""
        partition = applied(self.space, self.partition, change)
        if self.spent or partition == self.partition:
            return False
        before_ps, ps = self.ps, self.runs.price(self.scope, partition)
        better = self.keep(partition, ps)
        numbers = {"run_ps": ps, "without_ps": before_ps, **change.numbers}
        self.decisions += (self.about(step, better, numbers) for step in change.steps)
        return better

    def about(self, step: Step, better: bool, numbers: Mapping[str, int]) -> Decision:
        """The decision on one step of a change."""
        why = "the whole run is faster" if better else "the whole run is not faster"
        nodes = self.space.structure.ids(sorted(i for group in step.new for i in group))
        return Decision(better, f"search:{step.kind}", why, nodes, numbers)
