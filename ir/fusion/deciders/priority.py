"""The priority decider: a queue over the cost model, as XLA's priority fusion has it.

Merges are made by what they gain with each group priced alone. Launches overlap, so at the end of
each scope whole runs are compared, and the winner of the smaller scope and the groups of the
rules stay candidates: a larger scope is never slower, and neither is the queue than the rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from emu.ir.fusion.cut import cut
from emu.ir.fusion.deciders.post_dominator import post_dominator
from emu.ir.fusion.deciders.queue import Offer, Queue, offer, refused
from emu.ir.fusion.deciders.trials import Trials
from emu.ir.fusion.deciders.verdicts import borders, decision
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.packing import heaviest
from emu.ir.fusion.pricing import Pricing
from emu.ir.fusion.scopes import SCOPES
from emu.ir.fusion.space import Move, Space
from emu.ir.fusion.structure import Partition
from emu.ir.group import Decision, Fused


def priority(space: Space, scope: str, pricing: Pricing) -> Fused:
    """Return the groups of any scope; never slower, as a whole run, than those of a smaller one."""
    fused = _Winners(space, pricing).of(scope)
    grouping = Grouping(space.structure, partition_of(fused))
    return replace(fused, decisions=(*fused.decisions, *borders(space, scope, grouping)))


def partition_of(fused: Fused) -> Partition:
    """The groups by the positions of their nodes."""
    position = fused.graph.position
    return tuple(tuple(position[n] for n in group.nodes) for group in fused.groups)


def fastest(scope: str, candidates: Iterable[Fused], pricing: Pricing) -> Fused:
    """The candidate whose whole run is fastest, the first of equals, with a reason if it lost.

    Equal groups are run once.
    """
    distinct = {frozenset(partition_of(f)): f for f in reversed(list(candidates))}
    ordered = list(reversed(distinct.values()))
    if len(ordered) == 1:
        return replace(ordered[0], scope=scope)
    runs = [pricing.run(fused) for fused in ordered]
    best = runs.index(min(runs))
    decisions = {(d.code, d.nodes): d for d in ordered[best].decisions}
    for fused, ps in zip(ordered, runs, strict=True):
        if fused is not ordered[best]:
            refusals = (d for d in fused.decisions if not d.ok)
            for d in (*refusals, _lost(ordered[best], fused, runs[best], ps)):
                decisions.setdefault((d.code, d.nodes), d)
    return replace(ordered[best], scope=scope, decisions=tuple(decisions.values()))


def _lost(best: Fused, other: Fused, best_ps: int, ps: int) -> Decision:
    """Why the groups of ``other`` were not taken: about the nodes whose groups differ."""
    same = {group.nodes for group in best.groups}
    nodes = tuple(n for group in other.groups if group.nodes not in same for n in group.nodes)
    text = f"as a whole run, these groups of scope {other.scope} are not faster"
    return Decision(False, "whole-run", text, nodes, {"run_ps": ps, "best_ps": best_ps})


@dataclass(frozen=True)
class _Winners:
    """The fastest groups of each scope, found once: larger scopes start from them."""

    space: Space
    pricing: Pricing
    found: dict[str, Fused] = field(default_factory=dict[str, Fused])

    def of(self, scope: str) -> Fused:
        """Those of a scope."""
        if scope not in self.found:
            self.found[scope] = self._made(scope)
        return self.found[scope]

    def _made(self, scope: str) -> Fused:
        space, pricing = self.space, self.pricing
        if scope == "none":
            return cut(space.graph, scope, space.singles, ())
        smaller = self.of(SCOPES[SCOPES.index(scope) - 1])
        if scope == "pattern":
            return fastest(scope, (_upright(space, scope, pricing), smaller), pricing)
        if scope == "vertical":
            by_rule = post_dominator(space, scope, pricing)
            return fastest(scope, (_upright(space, scope, pricing), by_rule, smaller), pricing)
        if scope == "horizontal":
            return fastest(scope, (_sideways(space, smaller, scope, pricing), smaller), pricing)
        upright = self.of("vertical")
        regions = fastest(scope, _regions(space, upright, pricing), pricing)
        both = _sideways(space, regions, scope, pricing)
        return fastest(scope, (both, regions, smaller), pricing)


def _upright(space: Space, scope: str, pricing: Pricing) -> Fused:
    """Patterns, and from "vertical" on groups with their only readers, by the queue."""
    grouping = Grouping(space.structure, space.singles)
    queue = Queue(space, grouping, pricing)
    queue.push(space.moves(scope, space.singles))

    def around(group: int) -> Iterator[Move]:
        near = (group, *sorted(grouping.makers(group))) if scope != "pattern" else ()
        yield from filter(None, (space.downward(grouping, g) for g in near))

    decisions = list(queue.drain(around))
    return cut(space.graph, scope, grouping.partition, decisions)


def _sideways(space: Space, start: Fused, scope: str, pricing: Pricing) -> Fused:
    """Siblings among the groups of ``start``, by the queue."""
    grouping = Grouping(space.structure, partition_of(start))
    queue = Queue(space, grouping, pricing)
    queue.push(space.sibling_moves(grouping))
    decisions = list(queue.drain(lambda _: space.sibling_moves(grouping)))
    return cut(space.graph, scope, grouping.partition, (*start.decisions, *decisions))


def _regions(space: Space, start: Fused, pricing: Pricing) -> Iterator[Fused]:
    """Regions among the groups of ``start``: tried in turn, and those with most gain in all."""
    grouping = Grouping(space.structure, partition_of(start))
    offers = [offer(grouping, pricing, move) for move in space.region_moves(grouping)]
    gaining = [o for o in offers if o.gain_ps > 0]
    lost = [*start.decisions, *(refused(space, o) for o in offers if o.gain_ps <= 0)]
    for decided in (
        _packed(space, start, gaining, pricing),
        _tried(space, start, gaining, pricing),
    ):
        yield replace(decided, decisions=(*lost, *decided.decisions))


def _tried(space: Space, start: Fused, offers: Sequence[Offer], pricing: Pricing) -> Fused:
    """Take offers in turn, the largest gain first, while the whole run becomes faster."""
    grouping = Grouping(space.structure, partition_of(start))
    decisions = Trials(space, grouping, pricing).in_turn(offers)
    return cut(space.graph, "global", grouping.partition, decisions)


def _packed(space: Space, start: Fused, offers: Sequence[Offer], pricing: Pricing) -> Fused:
    """Take the offers that share no group and gain most together, each priced alone."""
    grouping = Grouping(space.structure, partition_of(start))
    sets = [frozenset(grouping.groups_of(o.move.nodes)) for o in offers]
    chosen = heaviest(sets, [o.gain_ps for o in offers])
    for i in chosen:
        grouping.merge(sets[i])
    fused = cut(space.graph, "global", grouping.partition, ())
    runs = {"run_ps": pricing.run(fused), "without_ps": pricing.run(start)}
    decisions = (_of_many(space, o, i in chosen, runs) for i, o in enumerate(offers))
    return replace(fused, decisions=tuple(decisions))


def _of_many(space: Space, offered: Offer, ok: bool, runs: Mapping[str, int]) -> Decision:
    """The decision on one of the offers that were weighed against each other."""
    numbers = {"fused_ps": offered.quote.ps, "apart_ps": offered.apart_ps, **offered.quote.numbers}
    if ok:
        text = "of the regions that share no group, these gain most together"
        return decision(space, offered.move, True, text, {**runs, **numbers}, "global:cost")
    text = "other regions with some of its groups gain more together"
    return decision(space, offered.move, False, text, numbers, "global:overlap")
