"""``emu run --free``: the same program on the clock again, while some causes take no time.

Commands, their order and where they run stay as compiled; only the terms of the freed causes are
masked, so what the freed time had hidden shows up, and the run is never slower.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from emu.devices.device import Device
from emu.ir.errors import BadOption, UnknownName
from emu.ir.trace import CAUSES, Trace
from emu.run import Compiled
from emu.table import COLUMNS, table, us

NOT_FREE = "wait"


@dataclass(frozen=True)
class Freed:
    """A run as it was, and with the terms of ``causes`` masked."""

    causes: tuple[str, ...]
    before: Trace
    after: Trace

    @property
    def ledger_ps(self) -> int:
        """What the ledger charges to the causes: their share of the critical path."""
        return sum(self.before.ledger[cause] for cause in self.causes)

    @property
    def saved_ps(self) -> int:
        """How much faster the run is without them."""
        return self.before.total_ps - self.after.total_ps

    @property
    def exposed(self) -> Mapping[str, int]:
        """By cause: how many more picoseconds of it are on the critical path now."""
        before, after = self.before.ledger, self.after.ledger
        more = {cause: after[cause] - before[cause] for cause in CAUSES}
        return {cause: ps for cause, ps in more.items() if ps and cause not in self.causes}


def parse_causes(text: str) -> tuple[str, ...]:
    """Return causes that are named with commas between, in the order of the ledger.

    Raises UnknownName for no cause, and BadOption for ``wait`` or for none at all.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in CAUSES:
            raise UnknownName("cause", name, CAUSES)
    if NOT_FREE in names:
        why = "a wait is no work but the latency that nothing else hides, so nothing can be masked"
        raise BadOption(f"--free {NOT_FREE}: {why}; free what is waited for")
    if not names:
        raise BadOption(f"--free '{text}': write causes, as in --free launch,intermediate")
    return tuple(cause for cause in CAUSES if cause in names)


def free(compiled: Compiled, chip: Device, causes: tuple[str, ...]) -> Freed:
    """Run a compiled program on the clock of ``chip`` once more, without ``causes``."""
    after = chip.simulate(compiled.program, frozenset(causes))
    return Freed(causes, compiled.trace, after)


def freed_json(freed: Freed) -> dict[str, Any]:
    """The what-if in numbers; ``ledger`` is that of the run without the causes."""
    return {
        "causes": list(freed.causes),
        "ledger_ps": freed.ledger_ps,
        "saved_ps": freed.saved_ps,
        "latency_ps": freed.after.total_ps,
        "ledger": freed.after.ledger,
    }


def freed_report(freed: Freed) -> str:
    """The what-if in words, and what came to the critical path instead."""
    return "\n".join(_lines(freed))


def _lines(freed: Freed) -> Iterator[str]:
    names, before, after = " + ".join(freed.causes), freed.before.ledger, freed.after.ledger
    times = f"{us(freed.before.total_ps)} -> {us(freed.after.total_ps)} us"
    said = f"ledger says {names} {us(freed.ledger_ps)} us"
    yield from wrap(f"{said}; freeing it saves {us(freed.saved_ps)} us: {times}", COLUMNS)
    if not freed.exposed:
        return
    yield ""
    rows = [
        (cause, us(before[cause]), us(after[cause]), f"{ps / 1e6:+,.3f}")
        for cause, ps in freed.exposed.items()
    ]
    yield from table(("other cause", "us", "us then", "change"), rows)
