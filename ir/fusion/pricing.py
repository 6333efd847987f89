"""What a decider may know of a device: the price of one group alone, and that of a whole run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from emu.ir.errors import BadOption
from emu.ir.group import Fused


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of one group as one launch, in picoseconds alone on the chip.

    ``found`` is False, and ``ps`` 0, where no single kernel computes the group, with the reason in
    ``why``. ``timed`` is False for a lower bound that already was too much. ``numbers`` say how the
    group would run: ``onchip_bytes`` of one core, ``recompute_flops`` beyond those of its nodes,
    and ``cores`` that have work.
    """

    ps: int
    found: bool
    why: str = ""
    timed: bool = True
    numbers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Pricing(Protocol):
    """A graph on one device with one kernel library."""

    def alone(self, nodes: Sequence[int], worth_ps: int | None = None) -> Quote:
        """Price the nodes at these ascending positions as one group.

        With ``worth_ps``, what cannot be faster than that is not timed; with 0 nothing is.
        """
        ...

    def run(self, fused: Fused) -> int:
        """The latency in picoseconds of a whole run of these groups."""
        ...


class NoDevice:
    """Where there is no device to ask; every question raises BadOption."""

    def alone(self, nodes: Sequence[int], worth_ps: int | None = None) -> Quote:
        """Raise BadOption."""
        del nodes, worth_ps
        raise _no_device()

    def run(self, fused: Fused) -> int:
        """Raise BadOption."""
        del fused
        raise _no_device()


def _no_device() -> BadOption:
    return BadOption("this scope and decider need a device that prices groups")
