"""The account of a run: every figure that is reported, worked out once from what ran."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from emu.devices.device import Device
from emu.devices.rates import Rates
from emu.energy import Energy, energy_pj, launches_pj
from emu.ir.body import Body, BodyNode
from emu.ir.ops import OPS, Fusion
from emu.ir.schedule import COVERAGE, Binding
from emu.ir.trace import Launched, Traffic
from emu.ir.traffic import Boundary, boundary_bytes
from emu.ir.work import node_work
from emu.run import Compiled


@dataclass(frozen=True)
class GroupAccount:
    """One launch: what it is, its share of the critical path, and what it moved.

    ``nodes`` are the model's nodes that each node of its body stands for.
    """

    binding: Binding
    launched: Launched
    nodes: tuple[tuple[str, ...], ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The model's nodes in it, each once."""
        return tuple(dict.fromkeys(source for node in self.nodes for source in node))

    @property
    def ledger(self) -> dict[str, int]:
        """Picoseconds by cause, in the order of the causes."""
        return self.launched.ledger

    @property
    def ps(self) -> int:
        """Its whole share of the critical path."""
        return sum(self.launched.charges.values())

    @cached_property
    def charges(self) -> Mapping[str, Mapping[str, int]]:
        """Picoseconds by node of the model and cause; a merged node is charged to its first."""
        found: dict[str, dict[str, int]] = {}
        for (node, cause), ps in self.launched.charges.items():
            causes = found.setdefault(self.nodes[node][0], {})
            causes[cause] = causes.get(cause, 0) + ps
        return found

    @property
    def bound(self) -> str:
        """The cause that took most of its share, "hidden" if it has none."""
        ledger = self.ledger
        return max(ledger, key=lambda cause: ledger[cause]) if self.ps else "hidden"


@dataclass(frozen=True)
class Account:
    """All figures of one compiled model."""

    compiled: Compiled

    @cached_property
    def chip(self) -> Device:
        """The device that it is for."""
        return self.compiled.stack.device.make()

    @cached_property
    def groups(self) -> tuple[GroupAccount, ...]:
        """Every launch in the order in which they run."""
        schedule, trace = self.compiled.schedule, self.compiled.trace
        parts = zip(schedule.bindings, trace.launches, schedule.sources, strict=True)
        return tuple(GroupAccount(*part) for part in parts)

    @cached_property
    def per_source(self) -> Mapping[str, int]:
        """Picoseconds by node of the model as given; a merged node is charged to its first."""
        sums = {source: 0 for node in self.compiled.graph.nodes for source in node.source}
        sums |= dict.fromkeys(self.compiled.lowered.folded, 0)
        for source, causes in (part for group in self.groups for part in group.charges.items()):
            sums[source] = sums.get(source, 0) + sum(causes.values())
        return sums

    @cached_property
    def boundary(self) -> Boundary:
        """Bytes over group boundaries, by definition."""
        return boundary_bytes(self.compiled.fused)

    @property
    def traffic(self) -> Traffic:
        """Bytes of device memory that really moved."""
        return self.compiled.trace.did.traffic

    @cached_property
    def coverage(self) -> Mapping[str, int]:
        """Launches by who computes them."""
        counts = Counter(binding.coverage for binding in self.compiled.schedule.bindings)
        return {kind: counts.get(kind, 0) for kind in COVERAGE}

    @cached_property
    def energy(self) -> Energy:
        """Picojoules."""
        return energy_pj(self.compiled.trace, self.chip.sheet)

    @cached_property
    def launches_pj(self) -> tuple[int, ...]:
        """The dynamic picojoules of each launch."""
        return launches_pj(self.compiled.trace, self.chip.sheet)

    @cached_property
    def utilisation(self) -> float:
        """The share of the latency that the launches' true operations take at the chip's peak.

        Unlike ``useful`` in the ledger it also counts operations that moving bytes hides.
        """
        total, rates = self.compiled.trace.total_ps, self.chip.rates
        on_chip = [b.body for b in self.compiled.schedule.bindings if b.program is not None]
        return float(sum(_peak_ps(body, rates) for body in on_chip) / total) if total else 0.0

    def costliest(self, count: int) -> Iterator[GroupAccount]:
        """The groups with the largest shares, the first one first."""
        ranked = sorted(self.groups, key=lambda g: (-g.ps, g.launched.index))
        yield from ranked[:count]


def _peak_ps(body: Body, rates: Rates) -> Fraction:
    """Picoseconds that a group takes if each node has the best unit of every core to itself."""
    return sum((_node_peak_ps(body, node, rates) for node in body.nodes), Fraction())


def _node_peak_ps(body: Body, node: BodyNode, rates: Rates) -> Fraction:
    is_product = OPS[node.op].fusion is Fusion.ANCHOR
    dtype = body.types[node.ins[0] if is_product else node.out].dtype
    simple = rates.simple(node_work(body, node))
    if not simple:
        return Fraction()
    return simple / (rates.cores * (rates.best_product if is_product else rates.vector)(dtype))
