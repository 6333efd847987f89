"""What a simulated run leaves: when each launch ran, what it moved, what every picosecond was."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from emu.ir.ops import Work

CAUSES: tuple[str, ...] = (
    "useful",
    "recompute",
    "padding",
    "idle",
    "slower_path",
    "fill_drain",
    "compulsory",
    "intermediate",
    "reload",
    "launch",
    "layout",
    "link",
    "host",
    "wait",
    "throttle",
)
MEANING = {
    "useful": "true operations at the peak",
    "recompute": "halos computed again",
    "padding": "tile and array edges",
    "idle": "cores without a tile",
    "slower_path": "not the fastest unit or path",
    "fill_drain": "arrays filling and draining",
    "compulsory": "weights, inputs, outputs once",
    "intermediate": "values moved between groups",
    "reload": "bytes moved again by tiling",
    "launch": "issuing and starting groups",
    "layout": "moving without computing",
    "link": "copies from and to the host",
    "host": "computing on the host",
    "wait": "exposed latency",
    "throttle": "a clock held back by power",
}


NOTHING_NARROW: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of device memory that moved, by why."""

    compulsory: int = 0
    intermediate: int = 0
    reload: int = 0
    layout: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.compulsory + other.compulsory,
            self.intermediate + other.intermediate,
            self.reload + other.reload,
            self.layout + other.layout,
        )

    @property
    def total(self) -> int:
        """All bytes."""
        return self.compulsory + self.intermediate + self.reload + self.layout


@dataclass(frozen=True)
class Footprint:
    """What one launch did, whatever the time: traffic, bytes per level, operations, memory.

    ``cores`` worked on it; ``array_cycles`` is how long the matrix units were held, 0 without one.
    ``narrow`` are the operations of ``work`` done in fewer bits than f32, by element type;
    ``kept_bytes`` what was moved from and to values that stay on chip between launches.
    """

    traffic: Traffic = field(default_factory=Traffic)
    l2_bytes: int = 0
    onchip_bytes: int = 0
    link_bytes: int = 0
    work: Work = field(default_factory=Work)
    peak_onchip_bytes: int = 0
    cores: int = 0
    array_cycles: int = 0
    narrow: Mapping[str, int] = field(default_factory=lambda: NOTHING_NARROW)
    kept_bytes: int = 0


@dataclass(frozen=True)
class Launched:
    """One launch on the clock. ``charges`` are its shares of the critical path, in picoseconds.

    They are keyed by (position of the node in the body, cause) and may be zero although the launch
    took time, where other work hid it.
    """

    index: int
    start_ps: int
    end_ps: int
    charges: Mapping[tuple[int, str], int]
    did: Footprint

    @property
    def ledger(self) -> dict[str, int]:
        """Picoseconds by cause, in the order of CAUSES."""
        sums: dict[str, int] = dict.fromkeys(CAUSES, 0)
        for (_, cause), ps in self.charges.items():
            sums[cause] += ps
        return sums


@dataclass(frozen=True)
class Trace:
    """A whole run on the clock; the charges of all launches sum to ``total_ps`` exactly."""

    total_ps: int
    launches: tuple[Launched, ...]
    peak_device_bytes: int

    @property
    def ledger(self) -> dict[str, int]:
        """Picoseconds by cause, in the order of CAUSES; they sum to the latency."""
        ledgers = [launch.ledger for launch in self.launches]
        return {cause: sum(ledger[cause] for ledger in ledgers) for cause in CAUSES}

    @property
    def did(self) -> Footprint:
        """The sums of what the launches did; memory is the largest of any."""
        all_did = [launch.did for launch in self.launches]
        return Footprint(
            sum((d.traffic for d in all_did), Traffic()),
            sum(d.l2_bytes for d in all_did),
            sum(d.onchip_bytes for d in all_did),
            sum(d.link_bytes for d in all_did),
            sum((d.work for d in all_did), Work()),
            max((d.peak_onchip_bytes for d in all_did), default=0),
            max((d.cores for d in all_did), default=0),
            sum(d.array_cycles for d in all_did),
            dict(sum((Counter(d.narrow) for d in all_did), Counter[str]())),
            sum(d.kept_bytes for d in all_did),
        )
