"""Facts of how data get to the array of a core, where they wait, and where its sums stay."""

from dataclasses import dataclass

from emu.devices.fields import At


@dataclass(frozen=True, slots=True)
class WeightFifo:
    """A queue of weights between device memory and a systolic array.

    It holds ``tiles`` tiles of the shape of the array. A product starts when its first tile is
    there, and what is loaded ahead of the array is no more than the queue holds.
    """

    tiles: int
    source: str


@dataclass(frozen=True, slots=True)
class Accumulators:
    """The part of a core's on-chip memory that its array sums into: no sum lies anywhere else."""

    capacity_kib: float
    source: str


@dataclass(frozen=True, slots=True)
class UnifiedBuffer:
    """The on-chip memory of a core is one buffer in banks of ``bank_kib``, with one port each.

    What one engine fills while another reads must lie in banks of its own, so each version of a
    buffer of a tile program takes whole banks.
    """

    bank_kib: float
    source: str


def check_buffer(buffer: UnifiedBuffer | None, kind: str, onchip_kib: float, at: At) -> None:
    """Raise DatasheetError unless a systolic array, and only that, has banks that fit on chip."""
    if buffer is None and kind == "systolic":
        raise at.error("is missing: a systolic array needs it")
    if buffer is None:
        return
    check_array_only(kind, at)
    if buffer.bank_kib > onchip_kib:
        why = f"{buffer.bank_kib:g} is over memory.onchip.capacity_kib, {onchip_kib:g}"
        raise at.to("bank_kib").error(why)


def check_array_only(kind: str, at: At) -> None:
    """Raise DatasheetError for what only a systolic array has."""
    if kind != "systolic":
        raise at.error(f"only a systolic array has one, not a {kind}")
