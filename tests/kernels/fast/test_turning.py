"""Copies between arrays that lie in any way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body, BodyNode
from emu.ir.types import Array, TensorType
from emu.kernels.fast import fast_body
from emu.kernels.fast.turning import copy, copy_step, plan
from emu.kernels.fast.writer import Held

SIZES = st.sampled_from((1, 2, 3, 7, 8, 9, 16, 19))


def lying(shape: tuple[int, ...], order: tuple[int, ...], dtype: str) -> Array:
    """Zeros of a shape whose dimensions lie in an order, the outermost first."""
    return np.zeros([shape[d] for d in order], dtype).transpose(np.argsort(order))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    shape = tuple(draw(st.lists(SIZES, min_size=1, max_size=4)))
    dtype = draw(st.sampled_from(("f4", "i4", "u4", "f8", "i2")))
    orders = st.permutations(range(len(shape)))
    out, x = (lying(shape, tuple(draw(orders)), dtype) for _ in range(2))
    x[...] = np.arange(x.size).reshape(shape)
    return out, x


@settings(max_examples=200, deadline=None)
@given(pairs())
def test_a_copy_has_each_element_where_it_belongs(pair: tuple[Array, Array]) -> None:
    out, x = pair
    copy_step(out, x)()
    np.testing.assert_array_equal(out, x)
    out[...] = 0
    copy(out, x)
    np.testing.assert_array_equal(out, x)


def test_images_are_turned_by_machine_code_and_what_lies_alike_is_not() -> None:
    image, rows = ((8 * 64 * 3, 4, 8 * 64, 64), (8 * 64 * 3, 8 * 3 * 4, 3 * 4, 4))
    assert plan((2, 16, 3, 8), rows, image) is not None
    assert isinstance(copy_step(*image_and_rows(64)), Held)
    assert not isinstance(copy_step(*(image_and_rows(64)[0],) * 2), Held)
    assert plan((2, 16, 3, 8), (0, 8, 4, 4), rows) is None


def image_and_rows(channels: int) -> tuple[Array, Array]:
    shape = (2, channels, 9, 10)
    return lying(shape, (0, 2, 3, 1), "f4"), lying(shape, (0, 1, 2, 3), "f4")


def test_small_copies_are_machine_code_too() -> None:
    x = np.arange(20, dtype=np.float32).reshape(4, 5)
    out = np.zeros((4, 9), np.float32)
    step = copy_step(out[:, 2:7], x)
    assert isinstance(step, Held)
    step()
    assert np.array_equal(out[:, 2:7], x)
    assert not out[:, :2].any()


def test_a_copy_writes_only_a_part_that_it_is_given() -> None:
    out, x = np.zeros((1, 20, 5, 9), np.float32), lying((1, 12, 5, 9), (0, 2, 3, 1), "f4")
    x[...] = 1 + np.arange(x.size).reshape(x.shape)
    copy_step(out[:, 3:15], x)()
    np.testing.assert_array_equal(out[:, 3:15], x)
    assert not out[:, :3].any()
    assert not out[:, 15:].any()


@pytest.mark.parametrize("bits", [0x7FA00001, 0xFFC00001, 0x80000000])
def test_bits_are_kept(bits: int) -> None:
    x = np.full((9, 17), bits, np.uint32).view(np.float32)
    out = lying((9, 17), (1, 0), "f4")
    copy_step(out, x)()
    np.testing.assert_array_equal(out.view(np.uint32), x.view(np.uint32))


def test_a_copy_within_the_same_memory_is_right_as_well() -> None:
    memory = np.arange(16 * 16, dtype=np.float32)
    out, x = memory.reshape(16, 16), memory.reshape(16, 16).T
    wanted = x.copy()
    copy_step(out, x)()
    assert np.array_equal(out, wanted)


def test_an_image_can_be_reshaped_in_its_own_memory() -> None:
    image = TensorType("f32", (1, 8, 4, 4))
    nodes = (
        BodyNode("Conv", (0, 1), (2,), ()),
        BodyNode("Reshape", (2,), (3,), (("shape", (1, 128)),)),
    )
    types = (image, TensorType("f32", (8, 8, 1, 1)), image, TensorType("f32", (1, 128)))
    x = np.arange(128, dtype=np.float32).reshape(1, 8, 4, 4)
    w = np.eye(8, dtype=np.float32).reshape(8, 8, 1, 1)
    (found,) = fast_body(Body(nodes, types, 2, frozenset((1,)), (3,)), [x, w])
    assert np.array_equal(found, x.reshape(1, 128))
