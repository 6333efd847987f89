"""What the host does for nodes whatever is planned: a bound on their time that needs no plan."""

from collections.abc import Iterable
from dataclasses import dataclass

from emu.devices.bounds import least_host_ps
from emu.devices.device import Device
from emu.devices.host import call_ps
from emu.ir.body import Body
from emu.ir.ops import OPS, Fusion


@dataclass(frozen=True)
class ByHost:
    """Which nodes no kernel computes on a chip, whatever they are grouped with, and what they cost.

    Libraries take no group with an op that is not ``listed``; code is generated for such an op, if
    the compiler ``generates``, unless it is a product. What ops they ``teach`` the chip takes too.
    Where each node is computed ``apart`` by a launch of its own, the host issues all of these.
    """

    chip: Device
    listed: frozenset[str]
    generates: bool
    apart: bool = False
    teach: frozenset[str] = frozenset()

    def least_ps(self, nodes: Iterable[Body]) -> int:
        """A bound on the time of some nodes, in picoseconds: the host does one thing at a time.

        A call of the host computes one node, since what is not composed of kernels is cut apart.
        """
        return sum(self._least_ps(node) for node in nodes)

    def _least_ps(self, node: Body) -> int:
        """The least that the host does for one node."""
        chip = self.chip
        if self.only_host(node):
            return chip.memo(("host call", node), lambda: call_ps(node, chip.rates))
        return least_host_ps(node, chip) if self.apart else 0

    def only_host(self, body: Body) -> bool:
        """Whether neither a library nor the generator takes any group with a node."""
        (node,) = body.nodes
        generated = self.generates and OPS[node.op].fusion != Fusion.ANCHOR
        unclaimed = node.op not in self.listed and not generated
        return unclaimed or self.chip.refusal(body, self.teach) is not None
