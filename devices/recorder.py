"""What holds the resources of a core while its program is stepped, period by period."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from emu.devices.terms import Event


class Kind(NamedTuple):
    """Executions of statement ``number`` that cost the same: what they hold, and their latency."""

    number: int
    resource: int
    busy: Event
    busy_ps: int
    busy_step: int
    latency_ps: int = 0
    latency_step: int = 0
    preload: "Preload | None" = None
    queued: "Queued | None" = None


class Preload(NamedTuple):
    """What a product does to the weights of an array: the ``shift`` of its first fold.

    ``lead`` is from the start of its stream until only its ``last`` fold is left to stream; it has
    ``folds``.
    """

    shift: Kind
    last: Kind
    lead_ps: int
    lead_step: int
    folds: int


class Queued(NamedTuple):
    """What a load through a queue of weights takes: its ``first`` tile, and all ``over`` the queue.

    What is over the queue comes when the array has begun to take from it.
    """

    first_ps: int
    first_step: int
    over_ps: int
    over_step: int


@dataclass(frozen=True)
class Held:
    """A resource that works between two moments, and how often each kind of execution does."""

    resource: int
    start_ps: int
    end_ps: int
    kinds: Mapping[Kind, int]


class Recorder:
    """Keeps what holds each resource; what repeats in a uniform loop is one stretch."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.held: list[Held] = []

    def hold(self, kind: Kind, start_ps: int, end_ps: int) -> None:
        """Keep one execution, if it takes time."""
        if end_ps > start_ps:
            self.held.append(Held(kind.resource, start_ps, end_ps, {kind: 1}))

    def repeat(self, begun: int, times: int, every_ps: int) -> None:
        """Let all that is held since position ``begun`` occur ``times`` times, ``every_ps`` apart.

        The stretches of one resource become one, as long as all of its periods.
        """
        one, self.held[begun:] = self.held[begun:], []
        for resource in sorted({stretch.resource for stretch in one}):
            parts = [stretch for stretch in one if stretch.resource == resource]
            self.held.append(_repeated(parts, times, every_ps))


def _repeated(parts: list[Held], times: int, every_ps: int) -> Held:
    kinds: dict[Kind, int] = {}
    for part in parts:
        for kind, count in part.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count * times
    end = max(part.end_ps for part in parts) + (times - 1) * every_ps
    return Held(parts[0].resource, min(part.start_ps for part in parts), end, kinds)
