"""Memory that values are computed in."""

import numpy as np

from emu.ir.types import TensorType
from emu.kernels.fast.memory import aligned, shaped


def test_numbers_lie_in_a_room_and_strings_are_objects_elsewhere() -> None:
    room = aligned(64)

    assert np.shares_memory(shaped(room, TensorType("f32", (2, 3))), room)
    words = shaped(room, TensorType("string", (2, 3)))
    assert (words.dtype, words.shape) == (np.dtype(object), (2, 3))
    assert not np.shares_memory(words, room)
