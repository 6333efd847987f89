"""Copies between arrays that lie in any way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.types import Array
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
