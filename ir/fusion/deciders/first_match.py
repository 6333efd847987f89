"""The simplest decider: whatever is legal is merged, in the order in which it is met.

At "global" it takes every region that some kernel holds on chip, the largest first, and never asks
for the price: the naive choice, which may lose.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from emu.ir.fusion.cut import cut, saved_bytes
from emu.ir.fusion.deciders.verdicts import borders, decision
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.patterns import Hit, near_misses
from emu.ir.fusion.pricing import Pricing
from emu.ir.fusion.scopes import scopes_within
from emu.ir.fusion.space import Move, Space
from emu.ir.group import Decision, Fused

NOT_TIMED = 0  # a price that nothing can be below: a quote for it says only whether a kernel fits


def first_match(space: Space, scope: str, pricing: Pricing) -> Fused:
    """Return the groups of any scope; only "global" asks ``pricing``, for kernels and room."""
    grouping = Grouping(space.structure, space.singles)
    decisions: list[Decision] = []
    for name in scopes_within(scope):
        decisions += _STEPS[name](space, grouping, pricing)
    if scope not in ("none", "pattern"):
        decisions += borders(space, scope, grouping)
    return cut(space.graph, scope, grouping.partition, decisions)


def _nothing(space: Space, grouping: Grouping, pricing: Pricing) -> Iterator[Decision]:
    del space, grouping, pricing
    yield from ()


def _patterns(space: Space, grouping: Grouping, pricing: Pricing) -> Iterator[Decision]:
    """Every match of the rule table, the first one met; what nearly matches is refused."""
    del pricing
    for hit in space.hits.values():
        groups = grouping.groups_of(hit.nodes)
        if grouping.union(groups) == hit.nodes:
            grouping.merge(groups)
            yield _hit(space, hit, True, f"pattern:{hit.name}", f"matches rule {hit.name}")
        elif not any(set(hit.nodes) <= set(grouping.members[g]) for g in groups):
            text = f"rule {hit.name} matches, but an earlier match holds some of the nodes"
            yield _hit(space, hit, False, "overlap", text)
    alone = sorted(n[0] for n in grouping.members.values() if len(n) == 1)
    yield from near_misses(space.graph, (space.graph.nodes[i] for i in alone))


def _hit(space: Space, hit: Hit, ok: bool, code: str, text: str) -> Decision:
    inner = [value for i in hit.nodes[:-1] for value in space.graph.nodes[i].outputs]
    numbers = saved_bytes(space.graph, inner)
    return Decision(ok, code, text, space.structure.ids(hit.nodes), numbers)


def _downwards(space: Space, grouping: Grouping, pricing: Pricing) -> Iterator[Decision]:
    """Each group with its only reader, again and again until nothing is left to merge."""
    del pricing
    yield from _whole(space, grouping, space.norm_moves(grouping))
    merged = True
    while merged:
        merged = False
        for group in sorted(grouping.members):
            if group in grouping.members and (move := space.downward(grouping, group)):
                merged = True
                yield _take(space, grouping, move)


def _sideways(space: Space, grouping: Grouping, pricing: Pricing) -> Iterator[Decision]:
    del pricing
    yield from _whole(space, grouping, space.sibling_moves(grouping))


def _whole(space: Space, grouping: Grouping, moves: Iterable[Move]) -> Iterator[Decision]:
    """Take moves in order while their groups are still as they were."""
    for move in list(moves):
        groups = grouping.groups_of(move.nodes)
        if grouping.union(groups) == move.nodes and grouping.acyclic(groups):
            yield _take(space, grouping, move)


def _regions(space: Space, grouping: Grouping, pricing: Pricing) -> Iterator[Decision]:
    moves = sorted(space.region_moves(grouping), key=lambda m: -len(m.nodes))
    quotes = {m.nodes: pricing.alone(m.nodes, worth_ps=NOT_TIMED) for m in moves}
    for move in moves:
        quote = quotes[move.nodes]
        if not quote.found:
            yield decision(space, move, False, quote.why, quote.numbers, "global:no-kernel")
    yield from _whole(space, grouping, (m for m in moves if quotes[m.nodes].found))


def _take(space: Space, grouping: Grouping, move: Move) -> Decision:
    grouping.merge(grouping.groups_of(move.nodes))
    return decision(space, move, True, move.why)


Step = Callable[[Space, Grouping, Pricing], Iterator[Decision]]
_STEPS: Mapping[str, Step] = {
    "none": _nothing,
    "pattern": _patterns,
    "vertical": _downwards,
    "horizontal": _sideways,
    "global": _regions,
}
