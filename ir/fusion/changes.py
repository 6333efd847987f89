"""What may be changed about a grouping: merges and cuts, those of equal bodies at once.

Twelve equal layers are one decision: a change is a class, every step of which turns groups of the
same bodies into groups of the same bodies.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from emu.ir.body import Body, body_of
from emu.ir.fusion.exact import runnable
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.pricing import Pricing, Quote
from emu.ir.fusion.space import Space
from emu.ir.fusion.structure import Nodes, Partition


@dataclass(frozen=True, slots=True)
class Step:
    """Groups ``old`` of a grouping that become ``new``, over the same nodes, by merge or cut."""

    old: Partition
    new: Partition

    @property
    def kind(self) -> str:
        """What the step is: "merge" or "cut"."""
        return "merge" if len(self.new) < len(self.old) else "cut"


@dataclass(frozen=True)
class Change:
    """All steps whose groups have equal bodies, before and after, with the price of the first.

    ``before_ps`` and ``after_ps`` are sums over its groups, each alone on the chip.
    """

    steps: tuple[Step, ...]
    before_ps: int
    after: tuple[Quote, ...]

    @cached_property
    def after_ps(self) -> int:
        """What the new groups of one step take alone, in ps."""
        return sum(quote.ps for quote in self.after)

    @property
    def gain_ps(self) -> int:
        """What all steps together save when launches run alone, in ps."""
        return (self.before_ps - self.after_ps) * len(self.steps)

    @property
    def numbers(self) -> Mapping[str, int]:
        """The prices alone of one step, and how the group runs that a merge makes."""
        known = {"before_ps": self.before_ps, "after_ps": self.after_ps}
        return {**known, **self.after[0].numbers} if len(self.after) == 1 else known


def changes(space: Space, scope: str, partition: Partition, pricing: Pricing) -> Iterator[Change]:
    """Yield every class of merges, and of cuts into two or into siblings, that ``scope`` allows.

    Those that would make a group that no single kernel computes are left out.
    """
    found: dict[tuple[tuple[Body, ...], ...], list[Step]] = {}
    for step in chain(_merges(space, scope, partition), _cuts(space, scope, partition)):
        key = tuple(tuple(_body(space, n) for n in groups) for groups in (step.old, step.new))
        found.setdefault(key, []).append(step)
    for steps in found.values():
        before_ps = sum(pricing.alone(nodes).ps for nodes in steps[0].old)
        after = tuple(pricing.alone(nodes, worth_ps=before_ps) for nodes in steps[0].new)
        if all(quote.found for quote in after):
            yield Change(tuple(steps), before_ps, after)


def _body(space: Space, nodes: Nodes) -> Body:
    return body_of(space.graph, [space.graph.nodes[i] for i in nodes]).body


def _merges(space: Space, scope: str, partition: Partition) -> Iterator[Step]:
    grouping = Grouping(space.structure, partition)
    for move in space.moves(scope, partition):
        groups = grouping.groups_of(move.nodes)
        yield Step(tuple(grouping.members[g] for g in groups), (move.nodes,))


def _cuts(space: Space, scope: str, partition: Partition) -> Iterator[Step]:
    for nodes in partition:
        for parts in _parts(space, nodes):
            if not any(space.legal(scope, part) for part in parts):
                yield Step((nodes,), parts)


def _parts(space: Space, nodes: Nodes) -> Iterator[Partition]:
    """All siblings apart; or the first nodes and the rest, wherever both can be groups."""
    siblings = space.structure.components(nodes)
    if len(siblings) > 1:
        yield siblings
        return
    for at in range(1, len(nodes)):
        yield nodes[:at], nodes[at:]


def applied(space: Space, partition: Partition, change: Change) -> Partition:
    """Return the grouping with all steps of a change, or as many as can be made together."""
    whole = _replaced(partition, change.steps)
    if runnable(space.structure, whole):
        return whole
    for step in change.steps:
        more = _replaced(partition, (step,))
        partition = more if runnable(space.structure, more) else partition
    return partition


def _replaced(partition: Partition, steps: Iterable[Step]) -> Partition:
    groups = set(partition)
    for step in steps:
        if groups.issuperset(step.old):
            groups = groups.difference(step.old).union(step.new)
    return tuple(sorted(groups))
