"""What an orchestrator reads of a run: the figures that a driver's management can measure.

On a partition of a chip they are the partition's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emu.account import Account
from emu.table import size


@dataclass(frozen=True)
class Figure:
    """One figure: its value of a run, in a unit, and how people read that."""

    of: Callable[[Account], float]
    unit: str
    text: Callable[[float], str]


def busy(account: Account) -> float:
    """The share of the latency in which at least one launch runs on the device."""
    spans = sorted(
        (group.launched.start_ps, group.launched.end_ps)
        for group in account.groups
        if group.binding.program is not None
    )
    ran_ps = reached_ps = 0
    for start_ps, end_ps in spans:
        ran_ps += max(0, end_ps - max(start_ps, reached_ps))
        reached_ps = max(reached_ps, end_ps)
    total_ps = account.compiled.trace.total_ps
    return ran_ps / total_ps if total_ps else 0.0


def power(account: Account) -> float:
    """Watts on average: all energy over the latency, as 1 pJ in 1 ps is 1 W."""
    total_ps = account.compiled.trace.total_ps
    return account.energy.total / total_ps if total_ps else 0.0


def memory(account: Account) -> float:
    """The most bytes of device memory that are in use at once."""
    return account.compiled.trace.peak_device_bytes


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "busy": Figure(busy, "share", "{:.1%}".format),
        "power": Figure(power, "W", "{:.1f} W".format),
        "memory": Figure(memory, "bytes", lambda count: size(int(count))),
    }
)


def telemetry(account: Account) -> Mapping[str, float]:
    """The figures that the orchestrator of a run reads, by name."""
    return {name: FIGURES[name].of(account) for name in account.compiled.stack.telemetry}
