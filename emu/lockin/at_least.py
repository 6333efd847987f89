"""What nodes take whatever is planned for them: a bound on their time that needs no plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from emu.devices.bounds import least_host_ps
from emu.devices.device import Device, product_flops
from emu.devices.host import call_ps
from emu.ir.body import Body
from emu.ir.ops import OPS, Fusion


@dataclass(frozen=True)
class AtLeast:
    """The least that the host and the units for products do on a chip.

    Libraries take no group with an op that is not ``listed``; code is generated for such an op, if
    the compiler ``generates``, unless it is a product. What ops they ``teach`` the chip takes too.
    Where each node is computed ``apart`` by a launch of its own, the host issues all of these.
    """

    chip: Device
    listed: frozenset[str]
    generates: bool
    apart: bool = False
    teach: frozenset[str] = frozenset()

    def ps(self, nodes: Iterable[Body]) -> int:
        """A bound on the time of some nodes, in picoseconds.

        The host does one thing at a time, and a call of it computes one node, since what is not
        composed of kernels is cut apart. Products keep all cores busy, or are calls of the host
        too: those that it is best at, as many and as much of the last as let both end at once.
        """
        host, cores = Fraction(), Fraction()
        products: list[tuple[Fraction, Fraction]] = []  # how many times as long the host takes
        for node in nodes:
            called = self._call_ps(node)
            if self.only_host(node):
                host += called
                continue
            issued, busy = self._issue_ps(node), self._product_ps(node)
            host += issued
            if busy:
                cores += busy
                products.append(((called - issued) / busy, busy))
        for longer, busy in sorted(products):
            moved = min(busy, (cores - host) / (1 + longer))
            if moved <= 0:
                break
            host, cores = host + longer * moved, cores - moved
        return int(max(host, cores))

    def _call_ps(self, node: Body) -> int:
        return self.chip.memo(("host call", node), lambda: call_ps(node, self.chip.rates))

    def _issue_ps(self, node: Body) -> int:
        return least_host_ps(node, self.chip) if self.apart else 0

    def _product_ps(self, node: Body) -> Fraction:
        """How long all cores are busy with a product at the peak of their best unit."""
        rates, cores = self.chip.rates, self.chip.machine.cores
        done = ((flops, rates.best_product(dtype)) for dtype, flops in product_flops(node))
        return sum((flops / (best * cores) for flops, best in done if best), Fraction())

    def only_host(self, node: Body) -> bool:
        """Whether neither a library nor the generator takes any group with a node."""
        op = node.nodes[0].op
        generated = self.generates and OPS[op].fusion != Fusion.ANCHOR
        unclaimed = op not in self.listed and not generated
        return unclaimed or self.chip.refusal(node, self.teach) is not None
