"""The greedy decider: the merge that saves most bytes first, as TorchInductor's score has it.

In rounds, and without a clock: each round scores all merges that are legal now, and takes them in
that order while their groups are still whole. A merge that saves no bytes is not made.
"""

from collections.abc import Callable, Iterable, Iterator

from emu.ir.fusion.cut import cut
from emu.ir.fusion.deciders.first_match import NOT_TIMED
from emu.ir.fusion.deciders.verdicts import borders, decision
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.pricing import Pricing
from emu.ir.fusion.scopes import SCOPES, scopes_within
from emu.ir.fusion.space import Move, Space
from emu.ir.group import Decision, Fused

Offer = Callable[[], Iterable[Move]]


def greedy(space: Space, scope: str, pricing: Pricing) -> Fused:
    """Return the groups of any scope; only "global" asks ``pricing``, for kernels and room.

    Groups grow vertically before siblings are merged, and regions come last.
    """
    grouping = Grouping(space.structure, space.singles)
    within = scopes_within(scope)
    upright = SCOPES[min(2, len(within) - 1)]
    decisions = [*_rounds(space, grouping, lambda: space.moves(upright, grouping.partition))]
    if "horizontal" in within:
        decisions += _rounds(space, grouping, lambda: space.sibling_moves(grouping))
    if "global" in within:
        decisions += _rounds(space, grouping, lambda: _that_fit(space, grouping, pricing))
    return cut(
        space.graph, scope, grouping.partition, (*decisions, *borders(space, scope, grouping))
    )


def _rounds(space: Space, grouping: Grouping, offer: Offer) -> Iterator[Decision]:
    """Take what is on offer until nothing on it saves a byte."""
    merged = True
    while merged:
        merged = False
        for move in sorted(offer(), key=lambda m: (-_score(m), m.nodes)):
            groups = grouping.groups_of(move.nodes)
            whole = grouping.union(groups) == move.nodes and grouping.acyclic(groups)
            if whole and _score(move):
                merged = True
                grouping.merge(groups)
                yield decision(space, move, True, move.why)


def _score(move: Move) -> int:
    return move.numbers["write_bytes"] + move.numbers["read_bytes"]


def _that_fit(space: Space, grouping: Grouping, pricing: Pricing) -> Iterator[Move]:
    """The regions that some kernel holds on chip."""
    for move in space.region_moves(grouping):
        if pricing.alone(move.nodes, worth_ps=NOT_TIMED).found:
            yield move
