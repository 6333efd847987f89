"""The bytes of a wave on a GPU: to and from device memory, the shared cache and the cores.

Bytes that tiles of one wave share are fetched once and received by each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from emu.devices.loads import port_rate
from emu.devices.raster import cluster
from emu.devices.rates import Rates
from emu.devices.terms import Term
from emu.devices.tile_cost import Shares
from emu.ir.count import Counts, count
from emu.ir.machine import Residency
from emu.ir.tile import Compute, Gather, Load, Store, TileProgram


@dataclass(frozen=True)
class WaveBytes:
    """What all ``tiles`` of one program move on a chip whose shared cache holds ``residency``."""

    program: TileProgram
    rates: Rates
    residency: Residency
    tiles: int

    @cached_property
    def counts(self) -> Counts:
        """What all tiles move and compute."""
        return count(self.program, tuple(self.residency.block.items()))

    @cached_property
    def multicast(self) -> Counts:
        """What all tiles move, where ``fetched`` is what crosses the shared cache.

        The tiles of a cluster receive what one of them loads.
        """
        limits = self.rates.sheet.limits
        together = 1 if limits is None else limits.cluster_tiles or 1
        return count(self.program, tuple(cluster(self.program, together).block.items()))

    @cached_property
    def product(self) -> Compute | None:
        """The first product of the program."""
        computes = (placed.statement for placed in self.program.statements)
        products = (s for s in computes if isinstance(s, Compute) and s.kind == "matrix")
        return next(products, None)

    @cached_property
    def sizes(self) -> tuple[int, int, int]:
        """Bytes that cross the border of device memory, of the shared cache, and of cores."""
        counts = self.counts
        return counts.fetched_bytes, self.multicast.fetched_bytes, counts.moved_bytes

    @cached_property
    def port(self) -> Fraction:
        """Bytes of the program's loads that one core takes, per picosecond."""
        return port_rate(self.program, self.rates, self.product is not None)

    def fetched(self, tiles: int, shares: Shares, sustained: Fraction) -> tuple[Term, ...]:
        """Bytes between cache and device memory that belong to a number of tiles."""
        share = Fraction(tiles, self.tiles)
        terms = self.moved(self.counts.fetched, shares, share, self.rates.dram)
        if sustained < self.rates.dram:
            moved = sum((t.amount for t in terms), Fraction())
            lost = moved / sustained - moved / self.rates.dram
            terms = (*terms, Term("wait", lost, Fraction(1)))
        return terms

    def through(self, tiles: int, shares: Shares) -> tuple[Term, ...]:
        """Bytes that clusters load and tiles store; what others load as well is reload."""
        share = Fraction(tiles, self.tiles)
        return self.moved(self.multicast.fetched, shares, share, self.rates.l2)

    def received(self, tiles: Fraction, shares: Shares) -> tuple[Term, ...]:
        """Bytes that tiles load and store; what other tiles load as well counts as reload."""
        return self.moved(self.counts.loaded, shares, tiles / self.tiles, self.port)

    def moved(
        self, read: Mapping[int, int], shares: Shares, share: Fraction, rate: Fraction
    ) -> tuple[Term, ...]:
        """A share of the bytes that are read and stored, first moves and repeated ones apart."""
        terms: list[Term] = []
        for view, size in read.items():
            node, once = self.touching["load", view], self.counts.unique[view]
            terms += apart(size, once, Term(shares.cause(view), share, rate, node))
        for view, size in self.counts.stored.items():
            node, once = self.touching["store", view], self.program.views[view].type.bytes
            terms += apart(size, once, Term(shares.cause(view), share, rate, node))
        return tuple(terms)

    @cached_property
    def touching(self) -> dict[tuple[str, int], int]:
        """The node that is charged for loading or storing each view."""
        found: dict[tuple[str, int], int] = {}
        for placed in self.program.statements:
            match placed.statement:
                case Load(buffer, node):
                    found.setdefault(("load", self.program.buffers[buffer].value), node)
                case Gather(table, _, _, node):
                    found.setdefault(("load", table), node)
                case Store(_, view, node):
                    found.setdefault(("store", view), node)
                case _:
                    pass
        return found


def apart(size: int, once: int, each: Term) -> tuple[Term, Term]:
    """The bytes of one view by what ``each`` of them takes: those that had to move, the rest."""
    first = min(size, once)
    return (
        replace(each, amount=first * each.amount),
        replace(each, cause="reload", amount=(size - first) * each.amount),
    )
