"""The engines that move slices between device memory and the scratchpad of a core.

An engine follows descriptors, which a compiler lays down ahead. One takes a while to set up, while
the engine moves what those before it say, so a load takes the longer of both. Device memory moves
whole bursts: what a run of bytes leaves of its first and its last one is moved for nothing.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod

from emu.devices.fields import At
from emu.devices.slices import Slice


@dataclass(frozen=True, slots=True)
class Dma:
    """Facts of the engines of every core, one that loads and one that stores.

    Setting a descriptor up takes ``descriptor_ns``. It says one run of bytes and how it repeats in
    ``descriptor_dims`` - 1 dimensions of a slice; what a slice has more is one descriptor each.
    ``burst_bytes`` is the least that device memory moves.
    """

    descriptor_ns: float
    descriptor_dims: int
    burst_bytes: int
    source: str


def check_dma(dma: Dma | None, kind: str, at: At) -> None:
    """Raise DatasheetError unless a chip whose schedule is fixed, and only that, has engines."""
    if dma is None and kind == "npu":
        raise at.error("is missing: an npu needs it")
    if dma is not None and kind != "npu":
        raise at.error(f"only an npu has it, not a {kind}")


@lru_cache(maxsize=65536)
def descriptors(moved: Slice, dims: int) -> int:
    """How many descriptors of ``dims`` dimensions say a slice, its longest dimensions in each."""
    counts = sorted(count for count, _ in moved.box.steps)
    return moved.rows * prod(counts[: max(0, len(counts) - (dims - 1))])


@lru_cache(maxsize=65536)
def burst_bytes(moved: Slice, burst: int) -> int:
    """Bytes of all bursts of ``burst`` bytes that a slice touches, on average over where it starts.

    Runs are moved as one, with what lies between them, where that is less.
    """
    run, steps = moved.box.run, list(moved.box.steps)
    while steps:
        count, apart = steps[0]
        through = (count - 1) * apart + run
        if _whole(through, burst, moved, steps[1:]) > count * _whole(run, burst, moved, steps):
            break
        run = through
        del steps[0]
    runs = moved.rows * prod(count for count, _ in steps)
    return runs * _whole(run, burst, moved, steps)


def _whole(run: int, burst: int, moved: Slice, steps: list[tuple[int, int]]) -> int:
    """Bytes of the bursts that a run touches, on average over starts at multiples of a grain.

    A run of r bytes, a multiple of the grain g, touches (r + burst - g) / burst of them: one that
    starts i grains into a burst touches ceil((i g + r) / burst), and i takes all burst / g values.
    """
    grain = gcd(burst, moved.box.grain, *(apart for _, apart in steps))
    return -(-run // grain) * grain + burst - grain
