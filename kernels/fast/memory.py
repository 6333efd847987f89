"""Memory that values are computed in: dense, aligned, and used again."""

from dataclasses import dataclass, field

import numpy as np

from emu.ir.types import HELD, NUMPY, Array, TensorType

ALIGNMENT_BYTES = 64  # a line of a cache, and the longest vector that a host loads at once


def aligned(size: int) -> Array:
    """Return ``size`` bytes, ui8[size], that begin at a multiple of ALIGNMENT_BYTES."""
    room = np.empty(size + ALIGNMENT_BYTES, np.uint8)
    start = -room.ctypes.data % ALIGNMENT_BYTES
    return room[start : start + size]


def bytes_of(type: TensorType) -> int:
    """The size of a value as a host holds it, dense and row-major, in bytes."""
    return type.elements * type.itemsize


def shaped(room: Array, type: TensorType) -> Array:
    """Return a value of ``type`` that lies at the start of ``room``, ui8[...].

    What is no number lies elsewhere, as objects.
    """
    if type.dtype in HELD:
        return np.empty(type.dims, object)
    return room[: bytes_of(type)].view(NUMPY[type.dtype]).reshape(type.dims)


def new(type: TensorType) -> Array:
    """Return a value of ``type`` in memory of its own."""
    return shaped(aligned(bytes_of(type)), type)


@dataclass
class Scratch:
    """Memory of values that never leave their group; what a group gives back the next one takes."""

    free: dict[int, list[Array]] = field(default_factory=dict[int, list[Array]])

    def take(self, size: int) -> Array:
        """Return ``size`` bytes that nobody uses."""
        rooms = self.free.get(size)
        return rooms.pop() if rooms else aligned(size)

    def give(self, room: Array) -> None:
        """Take back what ``take`` returned."""
        self.free.setdefault(room.size, []).append(room)
