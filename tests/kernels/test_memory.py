"""Memory that values are computed in."""

from typing import Any

import numpy as np

from emu.ir.types import TensorType
from emu.kernels.fast.memory import aligned, contents, copied, in_room, new, put, shaped


def test_numbers_lie_in_a_room_and_strings_are_objects_elsewhere() -> None:
    room = aligned(64)

    assert np.shares_memory(shaped(room, TensorType("f32", (2, 3))), room)
    words = shaped(room, TensorType("string", (2, 3)))
    assert (words.dtype, words.shape) == (np.dtype(object), (2, 3))
    assert not np.shares_memory(words, room)


def test_what_is_no_tensor_lies_in_a_cell_as_one_object() -> None:
    listed = [np.zeros(2), np.ones(3)]
    type = TensorType("sequence", (2,))
    room, other = in_room(listed, type), new(type)
    put(other, room)

    assert room.shape == ()
    assert contents(room) is contents(other) is listed
    assert contents(in_room(None, TensorType("optional", ()))) is None
    assert contents(listed[0]) is listed[0]


def test_a_copy_shares_nothing_with_what_was_copied() -> None:
    held: dict[str, Any] = {"a": [np.zeros(2), None], "b": "text"}
    other = copied(held)
    held["a"][0][:] = 1

    assert other["b"] == "text"
    assert other["a"][0].tolist() == [0, 0]
    assert other["a"][1] is None
