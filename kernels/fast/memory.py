"""Memory that values are computed in: dense, aligned, and used again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from emu.ir.types import HELD, LISTED, NUMPY, Array, TensorType
from emu.kernels.fast.turning import copy

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

    What is no number lies elsewhere, as objects; what is no tensor as one, in a Cell.
    """
    if type.dtype in LISTED:
        return np.empty((), object).view(Cell)
    if type.dtype in HELD:
        return np.empty(type.dims, object)
    return room[: bytes_of(type)].view(NUMPY[type.dtype]).reshape(type.dims)


def new(type: TensorType) -> Array:
    """Return a value of ``type`` in memory of its own."""
    return shaped(aligned(bytes_of(type)), type)


class Cell(np.ndarray[Any, Any]):
    """Room for one value that is no tensor: a list, a map, or None for an empty optional."""


def put(room: Array, value: Any) -> None:
    """Write a value into its room; a value that is no tensor is referred to."""
    if isinstance(room, Cell):
        room[()] = contents(value)
    else:
        copy(room, np.asarray(value))


def contents(room: Any) -> Any:
    """Return the value that lies in a room: what a Cell refers to, else the array itself."""
    return room[()] if isinstance(room, Cell) else room


def in_room(value: Any, type: TensorType) -> Array:
    """Return a value of ``type`` where it lies, or in a Cell if it is no tensor."""
    if type.dtype not in LISTED:
        return value
    put(room := new(type), value)
    return room


def copied(value: Any) -> Any:
    """Return a value in memory of its own, as are the tensors that it lists."""
    if isinstance(value, list):
        return [copied(part) for part in cast(list[Any], value)]
    if isinstance(value, Mapping):
        entries = cast(Mapping[Any, Any], value)
        return {key: copied(part) for key, part in entries.items()}
    if not isinstance(value, np.ndarray):
        return value
    found = cast(Array, value)
    copy(made := np.empty(found.shape, found.dtype), found)
    return made


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
