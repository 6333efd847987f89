"""What is kept of a run: enough to compare and explain it without the model."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from emu.account import Account, GroupAccount
from emu.capacity import Excess, excess_of
from emu.digest import digest
from emu.ir.group import Decision
from emu.ir.trace import CAUSES, Traffic
from emu.run import Compiled
from emu.stack import Stack

Charges = Mapping[str, Mapping[str, int]]  # node of the model -> cause -> ps


@dataclass(frozen=True)
class KeptModel:
    """A model as it was asked for: a zoo name or a path, with its settings and dimensions."""

    name: str
    asked: str
    settings: Mapping[str, int] = field(default_factory=dict[str, int])
    dims: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class KeptGroup:
    """One launch: the nodes it computes, the model's nodes they stand for, and its charges."""

    name: str
    nodes: tuple[str, ...]
    sources: tuple[str, ...]
    kernel: str
    coverage: str
    dram_bytes: Traffic
    start_ps: int
    end_ps: int
    charges: Charges

    @property
    def ps(self) -> int:
        """Its whole share of the critical path."""
        return sum(ps for causes in self.charges.values() for ps in causes.values())


@dataclass(frozen=True)
class KeptRun:
    """A run: model, stack, latency, its groups with their charges, and every decision.

    ``sources`` are all nodes of the model as given; ``container`` is the device binary, and
    ``datasheet_digest`` is of the facts that the run was timed with; ``values_ok`` is None if no
    values were checked, ``over_capacity`` if it fits the device.
    """

    model: KeptModel
    stack: Stack
    latency_ps: int
    sources: tuple[str, ...]
    groups: tuple[KeptGroup, ...]
    decisions: tuple[Decision, ...]
    peak_device_bytes: int
    container: bytes
    datasheet_digest: str
    values_ok: bool | None = None
    over_capacity: Excess | None = None

    @cached_property
    def charges(self) -> Charges:
        """Picoseconds by node of the model and cause; they sum to the latency."""
        sums: dict[str, Counter[str]] = {source: Counter() for source in self.sources}
        for source, causes in (part for group in self.groups for part in group.charges.items()):
            sums.setdefault(source, Counter()).update(causes)
        return sums

    @property
    def ledger(self) -> dict[str, int]:
        """Picoseconds by cause, in the order of the causes; they sum to the latency."""
        causes = list(self.charges.values())
        return {cause: sum(found.get(cause, 0) for found in causes) for cause in CAUSES}

    @property
    def dram_bytes(self) -> int:
        """Bytes of device memory that moved in all."""
        return sum(group.dram_bytes.total for group in self.groups)

    @property
    def title(self) -> str:
        """Model and stack in a few words."""
        stack = self.stack
        chosen = f"fusion {stack.compiler.scope}/{stack.compiler.decider}, kernels {stack.kernels}"
        return f"{self.model.name} on {stack.device.title}, {chosen}"


def keep(compiled: Compiled, model: KeptModel | None = None, ok: bool | None = None) -> KeptRun:
    """What is kept of a compiled model that was asked for as ``model``; ``ok`` are its values."""
    account, origin = Account(compiled), compiled.model.origin
    name = compiled.model.name
    asked = KeptModel(name, name if origin == "zoo" else origin) if model is None else model
    return KeptRun(
        model=asked,
        stack=compiled.stack,
        latency_ps=compiled.trace.total_ps,
        sources=tuple(account.per_source),
        groups=tuple(_group(group) for group in account.groups),
        decisions=compiled.schedule.decisions,
        peak_device_bytes=compiled.trace.peak_device_bytes,
        container=compiled.container,
        datasheet_digest=digest(account.chip.sheet),
        values_ok=ok,
        over_capacity=excess_of(compiled),
    )


def _group(group: GroupAccount) -> KeptGroup:
    launched = group.launched
    return KeptGroup(
        name=group.binding.group.name,
        nodes=group.binding.inside.nodes,
        sources=group.sources,
        kernel=group.binding.kernel,
        coverage=group.binding.coverage,
        dram_bytes=launched.did.traffic,
        start_ps=launched.start_ps,
        end_ps=launched.end_ps,
        charges=group.charges,
    )
