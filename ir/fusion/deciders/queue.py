"""A queue of merges by what they gain on the device's clock, each group priced alone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from emu.ir.fusion.deciders.verdicts import decision
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.pricing import Pricing, Quote
from emu.ir.fusion.space import Move, Space
from emu.ir.fusion.structure import Nodes
from emu.ir.group import Decision


@dataclass(frozen=True, slots=True)
class Offer:
    """A move with the price of its groups apart, and that of the group it would make."""

    move: Move
    apart_ps: int
    quote: Quote

    @property
    def gain_ps(self) -> int:
        """What it saves when launches run alone; below 1 if it should not be made."""
        return self.apart_ps - self.quote.ps if self.quote.found else 0


def offer(grouping: Grouping, pricing: Pricing, move: Move) -> Offer:
    """Price a move; a group that no single kernel computes costs nothing, so it is never saved."""
    parts = [grouping.members[g] for g in grouping.groups_of(move.nodes)]
    apart_ps = sum(pricing.alone(part).ps for part in parts)
    return Offer(move, apart_ps, pricing.alone(move.nodes, worth_ps=apart_ps))


def refused(space: Space, offered: Offer) -> Decision:
    """Why a move that gains nothing is not made, with the numbers."""
    scope = offered.move.code.split(":")[0]
    quote = offered.quote
    if not quote.found:
        return decision(space, offered.move, False, quote.why, quote.numbers, f"{scope}:no-kernel")
    fused = "fused_ps" if quote.timed else "fused_ps_at_least"
    numbers = {fused: quote.ps, "apart_ps": offered.apart_ps, **quote.numbers}
    text = "the groups are faster apart"
    return decision(space, offered.move, False, text, numbers, f"{scope}:cost")


class Queue:
    """Merges the move with the largest gain first, and prices anew what stands around it."""

    def __init__(self, space: Space, grouping: Grouping, pricing: Pricing) -> None:
        """Start without moves; ``grouping`` is merged in place."""
        self.space = space
        self.grouping = grouping
        self.pricing = pricing
        self.heap: list[tuple[int, Nodes, Offer]] = []
        self.seen: set[Nodes] = set()
        self.refusals: list[Decision] = []

    def push(self, moves: Iterable[Move]) -> None:
        """Price moves that were not met before, and keep those that gain."""
        for move in moves:
            if move.nodes not in self.seen:
                self.seen.add(move.nodes)
                self._enter(offer(self.grouping, self.pricing, move))

    def _enter(self, offered: Offer) -> None:
        if offered.gain_ps > 0:
            heappush(self.heap, (-offered.gain_ps, offered.move.nodes, offered))
        else:
            self.refusals.append(refused(self.space, offered))

    def drain(self, around: Callable[[int], Iterable[Move]]) -> Iterator[Decision]:
        """Merge until nothing gains; ``around`` gives the moves that a new group makes possible."""
        while self.heap:
            _, nodes, best = heappop(self.heap)
            groups = self.grouping.groups_of(nodes)
            if self.grouping.union(groups) != nodes or not self.grouping.acyclic(groups):
                continue
            self.push(around(self.grouping.merge(groups)))
            numbers = {"fused_ps": best.quote.ps, "apart_ps": best.apart_ps}
            yield decision(self.space, best.move, True, best.move.why, numbers)
        yield from self.refusals
