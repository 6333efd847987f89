"""Whole runs of groupings of one graph, each priced once, and bounds on them."""

from collections.abc import Sequence

from emu.ir.errors import CapacityError
from emu.ir.fusion.cut import cut
from emu.ir.fusion.deciders.priority import partition_of
from emu.ir.fusion.exact import tail_of
from emu.ir.fusion.pricing import Pricing, Quote
from emu.ir.fusion.space import Space
from emu.ir.fusion.structure import Nodes, Partition
from emu.ir.group import Fused

DOES_NOT_FIT_PS = 1 << 62  # longer than any run


class Runs:
    """A Pricing that remembers whole runs; ``launches`` counts those that were simulated.

    What does not fit the device's memory has the price DOES_NOT_FIT_PS.
    """

    def __init__(self, space: Space, pricing: Pricing) -> None:
        """Ask ``pricing`` for what is not known yet."""
        self.space = space
        self.pricing = pricing
        self.known: dict[frozenset[Nodes], int] = {}
        self.launches = 0

    def alone(self, nodes: Sequence[int], worth_ps: int | None = None) -> Quote:
        """Price nodes as one group, as ``pricing`` does."""
        return self.pricing.alone(nodes, worth_ps)

    def run(self, fused: Fused) -> int:
        """The latency in picoseconds of a whole run of these groups."""
        key = frozenset(partition_of(fused))
        if key not in self.known:
            self.known[key] = self._simulated(fused)
        return self.known[key]

    def price(self, scope: str, partition: Partition) -> int:
        """The latency in picoseconds of a whole run of a grouping."""
        key = frozenset(partition)
        if key not in self.known:
            self.known[key] = self._simulated(cut(self.space.graph, scope, partition, ()))
        return self.known[key]

    def at_least(self, scope: str, groups: Partition) -> int:
        """A bound in ps on every whole run whose last groups these are, 0 if none is known.

        None is worked out for siblings, which might wait for each other.
        """
        key = frozenset(groups)
        if key not in self.known:
            self.known[key] = self._bound(scope, groups)
        return self.known[key]

    def _bound(self, scope: str, groups: Partition) -> int:
        nodes = tuple(sorted(node for group in groups for node in group))
        joined = (len(self.space.structure.components(group)) == 1 for group in groups)
        graph = tail_of(self.space.graph, nodes)
        if graph is None or not all(joined):
            return 0
        number = {node: i for i, node in enumerate(nodes)}
        members = [tuple(number[n] for n in group) for group in groups]
        return self._simulated(cut(graph, scope, members, ()))

    def _simulated(self, fused: Fused) -> int:
        self.launches += len(fused.groups)
        try:
            return self.pricing.run(fused)
        except CapacityError:
            return DOES_NOT_FIT_PS
