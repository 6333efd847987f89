"""A made-up device: a launch takes a fixed time, a byte over a border of groups a picosecond."""

from collections.abc import Sequence
from dataclasses import dataclass

from emu.ir.fusion.cut import cut
from emu.ir.fusion.pricing import Quote
from emu.ir.graph import Graph
from emu.ir.group import Fused, Group

LAUNCH_PS = 1000
WHY = "no kernel is large enough"


@dataclass(frozen=True)
class Bytes:
    """Prices by bytes. Groups of more than ``most`` nodes have no kernel, and ``slow_ps`` is what
    a group of several anchors takes beside its bytes."""

    graph: Graph
    most: int = 1000
    slow_ps: int = 0

    def alone(self, nodes: Sequence[int], worth_ps: int | None = None) -> Quote:
        del worth_ps
        if len(nodes) > self.most:
            return Quote(0, False, WHY)
        rest = ((i,) for i in range(len(self.graph.nodes)) if i not in nodes)
        groups = cut(self.graph, "none", [*rest, tuple(nodes)], ()).groups
        mine = next(g for g in groups if self.graph.position[g.nodes[-1]] == nodes[-1])
        return Quote(self.price(mine), True, numbers={"cores": 1})

    def price(self, group: Group) -> int:
        crossing = (self.graph.types[value].bytes for value in (*group.inputs, *group.outputs))
        anchors = sum(self.graph.by_id[n].op in ("Conv", "MatMul") for n in group.nodes)
        return LAUNCH_PS + sum(crossing) + (self.slow_ps if anchors > 1 else 0)

    def run(self, fused: Fused) -> int:
        return sum(self.price(group) for group in fused.groups)
