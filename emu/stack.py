"""A stack: one choice for each of the six slots, as one frozen value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from emu.devices.device import Device
from emu.devices.facts import parse_changes
from emu.devices.make import make_device

DEVICE = "gpu"  # of the neutral stack


@dataclass(frozen=True)
class Compiler:
    """What the compiler does: graph passes in order, fusion, element type, layout and tiles.

    ``tiling`` says how tiles are chosen, with ``trials`` tilings tried for each generated kernel;
    ``fallback`` what becomes of a group that the kernel library does not claim: generated, composed
    of smaller ones or left to the host. ``residency`` "on"
    keeps values on chip between launches, ``graph_replay`` "on" issues launches as graphs that were
    captured before. With ``over_capacity`` what does not fit the device's memory is priced as if it
    did.
    """

    passes: tuple[str, ...]
    scope: str
    decider: str
    trials: int = 0
    dtype: str = "fp32"
    layout: str = "auto"
    tiling: str = "exhaustive"
    fallback: str = "generated"
    over_capacity: bool = False
    residency: str = "off"
    graph_replay: str = "off"


@dataclass(frozen=True)
class Partition:
    """A part of a chip; ``facts``, each KEY=VALUE, are what is other in it than on the chip."""

    name: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Chip:
    """The device slot: a datasheet or a partition of the chip, and how its array is priced.

    ``facts`` are other figures for keys of the datasheet, each KEY=VALUE.
    """

    name: str
    array_model: str = "native"
    facts: tuple[str, ...] = ()
    partition: Partition | None = None

    def make(self) -> Device:
        """The chip; raises UnknownName, DatasheetError or BadOption for what there cannot be."""
        return make_device(self.name, self.array_model, parse_changes(self.all_facts))

    @property
    def title(self) -> str:
        """What a program runs on, in words."""
        return self.name if self.partition is None else f"{self.partition.name} of {self.name}"

    @property
    def all_facts(self) -> tuple[str, ...]:
        """The facts of its partition and its own, which go before those."""
        return self.facts if self.partition is None else (*self.partition.facts, *self.facts)


@dataclass(frozen=True)
class Stack:
    """The six slots. The front end captures a whole graph; no orchestrator demands anything.

    ``telemetry`` names the figures of a run that the orchestrator reads.
    """

    compiler: Compiler
    kernels: str
    device: Chip = field(default_factory=lambda: Chip(DEVICE))
    front_end: str = "graph-capture"
    driver: str = "emu"
    orchestrator: str = "none"
    telemetry: tuple[str, ...] = ()


class Choices(TypedDict, total=False):
    """What may replace a choice of the neutral stack; None is what goes with the other choices."""

    device: str | Path
    fusion: str
    decider: str | None
    kernels: str
    passes: Sequence[str] | None
    array_model: str
    facts: Sequence[str]
    dtype: str
    layout: str
    tiling: str | None
    trials: int
    fallback: str
    over_capacity: bool
    residency: str
    graph_replay: str
