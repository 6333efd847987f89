"""The launch queue: what a launch costs the host that issues it, and the device that starts it.

Launches are issued one by one, each by a call, and wait in the queue until the device starts them.
Or one call issues a graph that was captured before, and the device goes through its launches
without the host.
"""

from emu.devices.datasheet import Datasheet
from emu.devices.terms import Settled, fixed_ps, one, settle
from emu.ir.errors import Unsupported


class Queue:
    """What the launches of one run cost; the causes in ``free`` take no time."""

    def __init__(self, sheet: Datasheet, free: frozenset[str]) -> None:
        """Begin without a graph."""
        self.name, self.facts = sheet.name, sheet.launch
        self.free = free
        self.one_by_one = self._took(self.facts.issue_us), self._took(self.facts.start_us)
        self.in_graph = Settled(0), self._took(self.facts.replayed_us or self.facts.start_us)
        self.left = 0  # launches to come of the graph that was issued

    def replay(self, launches: int) -> Settled:
        """What the host needs to issue a graph of so many launches.

        Raises Unsupported for a chip whose datasheet does not say it.
        """
        if self.facts.replay_us is None:
            raise Unsupported(
                f"{self.name}: replays no graphs: no launch.replay_us in its datasheet"
            )
        self.left = launches
        return self._took(self.facts.replay_us)

    def launch(self) -> tuple[Settled, Settled]:
        """What the next launch costs the host, and then the device before it computes."""
        if not self.left:
            return self.one_by_one
        self.left -= 1
        return self.in_graph

    def _took(self, us: float) -> Settled:
        return settle(one(fixed_ps("launch", us)), self.free)
