"""What only the host can compute of a graph: a bound on its time that needs no plan."""

from collections.abc import Iterator
from dataclasses import dataclass

from emu.devices.device import Device
from emu.devices.host import least_call_ps
from emu.ir.body import Body, body_of
from emu.ir.graph import Graph
from emu.ir.ops import OPS, Fusion


@dataclass(frozen=True)
class OnlyHost:
    """Which nodes no kernel computes on a chip, whatever they are grouped with.

    Libraries take no group with an op that is not ``listed``; code is generated for such an op, if
    the compiler ``generates``, unless it is a product. What ops they ``teach`` the chip takes too.
    """

    chip: Device
    listed: frozenset[str]
    generates: bool
    teach: frozenset[str] = frozenset()

    def least_ps(self, graph: Graph) -> int:
        """A bound on the time of a graph, in picoseconds: the host makes one call at a time."""
        return int(sum(least_call_ps(body, self.chip.rates) for body in self.bodies(graph)))

    def bodies(self, graph: Graph) -> Iterator[Body]:
        """Each node that only the host computes, alone."""
        for node in graph.nodes:
            body = body_of(graph, [node]).body
            if self.unclaimed(node.op) or self.chip.refusal(body, self.teach):
                yield body

    def unclaimed(self, op: str) -> bool:
        """Whether neither a library nor the generator takes any group with an op."""
        generated = self.generates and OPS[op].fusion != Fusion.ANCHOR
        return op not in self.listed and not generated
