"""The account of a run: every figure that is reported, worked out once from what ran."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from emu.devices.make import make_device
from emu.energy import Energy, energy_pj
from emu.ir.ops import Work
from emu.ir.schedule import COVERAGE, Binding
from emu.ir.trace import CAUSES, Launched, Traffic
from emu.ir.traffic import Boundary, boundary_bytes
from emu.run import Compiled


@dataclass(frozen=True)
class GroupAccount:
    """One launch: what it is, its share of the critical path, and what it moved."""

    binding: Binding
    launched: Launched
    sources: tuple[str, ...]

    @property
    def ledger(self) -> dict[str, int]:
        """Picoseconds by cause, in the order of the causes."""
        sums: dict[str, int] = dict.fromkeys(CAUSES, 0)
        for (_, cause), ps in self.launched.charges.items():
            sums[cause] += ps
        return sums

    @property
    def ps(self) -> int:
        """Its whole share of the critical path."""
        return sum(self.launched.charges.values())

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
    def groups(self) -> tuple[GroupAccount, ...]:
        """Every launch in the order in which they run."""
        schedule, trace = self.compiled.schedule, self.compiled.trace
        parts = zip(schedule.bindings, trace.launches, schedule.sources, strict=True)
        return tuple(
            GroupAccount(binding, launched, tuple(dict.fromkeys(s for node in nodes for s in node)))
            for binding, launched, nodes in parts
        )

    @cached_property
    def per_source(self) -> Mapping[str, int]:
        """Picoseconds by node of the model as given; a merged node is charged to its first."""
        sums = {source: 0 for node in self.compiled.graph.nodes for source in node.source}
        sums |= dict.fromkeys(self.compiled.lowered.folded, 0)
        for launched, nodes in zip(
            self.compiled.trace.launches, self.compiled.schedule.sources, strict=True
        ):
            for (node, _), ps in launched.charges.items():
                sums[nodes[node][0]] = sums.get(nodes[node][0], 0) + ps
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
        chip = self.compiled.stack.device
        return energy_pj(self.compiled.trace, make_device(chip.name, chip.array_model).sheet)

    @cached_property
    def utilisation(self) -> float:
        """The share of the latency that the model's operations would take at the chip's peak."""
        total = self.compiled.trace.total_ps
        return self.compiled.trace.ledger["useful"] / total if total else 0.0

    @property
    def work(self) -> Work:
        """Operations that ran."""
        return self.compiled.trace.did.work

    def costliest(self, count: int) -> Iterator[GroupAccount]:
        """The groups with the largest shares, the first one first."""
        ranked = sorted(self.groups, key=lambda g: (-g.ps, g.launched.index))
        yield from ranked[:count]
