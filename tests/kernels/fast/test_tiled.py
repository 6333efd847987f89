"""Register tiles compute what numpy does, whatever the number of rows, channels and taps."""

import numpy as np
import pytest

from emu.ir.ops import OPS
from emu.ir.ops.window import window
from emu.ir.types import Array
from emu.kernels.fast.lying import last
from emu.kernels.fast.tiled import (
    DEPTHWISE,
    LARGEST,
    PRODUCT,
    Ending,
    convolution,
    largest,
    places,
    product,
    rows_of,
    tiles_of,
)
from emu.kernels.native.tiles import FEW, ROWS


def made(*shape: int) -> Array:
    return np.random.default_rng(3).standard_normal(shape, dtype=np.float32)


def image(n: int, c: int, *space: int) -> Array:
    """Images with channels innermost, and nothing behind them."""
    return np.moveaxis(made(n, *space, c), -1, 1)


def assert_close(found: Array, wanted: Array) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("rows", [1, 2, 4, 5, 6, 7, 8, 11, 12, 13, 14, 50])
@pytest.mark.parametrize("width", [1, 8, 15, 16, 17, 24, 49, 56, 64, 65, 72, 130])
def test_a_product_of_any_size_is_that_of_numpy(rows: int, width: int) -> None:
    x, w, out = made(rows, 19), made(19, width), np.full((rows, width), np.nan, np.float32)
    product(x, w, out, Ending())()
    assert_close(out, x @ w)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("space", [(2, 2), (9, 11)])
def test_bias_residual_and_bounds_are_taken_into_a_convolution(
    groups: int, space: tuple[int, int]
) -> None:
    x, w, bias = image(2, 6, *space), made(72 // 6 * 6, 6 // groups, 3, 3), made(72)
    if groups == 6:
        w, bias = w[:6], bias[:6]
    m = w.shape[0]
    more, out = image(2, m, *space), image(2, m, *space)
    slid = window((3, 3), pads=(1, 1, 1, 1))
    convolution(x, w, slid, groups, out, Ending(bias, more, -0.5, 0.75))()
    wanted = OPS["Conv"].run(x, w, bias, pads=(1, 1, 1, 1), group=groups) + more
    assert_close(out, np.clip(wanted, -0.5, 0.75))


def test_rows_that_lie_apart_are_read_and_written_where_they_are() -> None:
    x, out = made(9, 40)[:, 3:20], np.zeros((9, 50), np.float32)
    w = made(17, 20)
    product(x, w, out[:, 10:30], Ending())()
    assert_close(out[:, 10:30], x @ w)
    assert not out[:, :10].any()
    assert not out[:, 30:].any()


def test_nan_goes_through_products_bounds_and_the_largest() -> None:
    x = image(1, 5, 4, 4)
    x[0, 2, 1, 1] = np.nan
    found = image(1, 5, 3, 3)
    largest(x, window((2, 2)), found)()
    assert np.array_equal(np.isnan(found[0, 2]), [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert not np.isnan(found[0, [0, 1, 3, 4]]).any()
    convolved = image(1, 3, 4, 4)
    convolution(x, made(3, 5, 1, 1), window((1, 1)), 1, convolved, Ending(low=0.0, high=1.0))()
    assert np.isnan(convolved[0, :, 1, 1]).all()
    assert np.isnan(convolved).sum() == 3


def test_places_count_elements_and_padding_is_minus_one() -> None:
    slid = window((2,), strides=(2,), pads=(1, 0))
    found = places((1, 4), (40, 10), slid, LARGEST)  # rows read (-1,0) and (1,2)
    assert (found.high, found.low, found.height, found.taps) == (0, 2, 1, 2)
    assert found.table.tolist() == [-1, 0, 10, 20]


@pytest.mark.parametrize(
    ("rows", "mode", "heights"),
    [
        (ROWS * 2, PRODUCT, (2, 0, FEW)),
        (ROWS * 2 + 1, PRODUCT, (2, 1, FEW)),
        (ROWS * 2 + FEW + 1, PRODUCT, (3, 0, FEW)),
        (ROWS - 1, PRODUCT, (0, 2, FEW)),
        (FEW - 1, PRODUCT, (0, FEW - 1, 1)),
        (ROWS + 1, DEPTHWISE, (2, 0, FEW)),
        (ROWS - 1, LARGEST, (0, ROWS - 1, 1)),
    ],
)
def test_few_rows_that_are_left_take_a_lower_tile(
    rows: int, mode: int, heights: tuple[int, int, int]
) -> None:
    found = tiles_of(np.arange(rows)[:, None], mode)
    assert (found.high, found.low, found.height) == heights
    assert sorted({*found.table.tolist()}) == [*range(rows)]
    assert found.table.size == found.high * ROWS + found.low * found.height


def test_evenly_lying_rows_are_counted_and_uneven_ones_are_not() -> None:
    x = made(2, 3, 8)
    assert rows_of(x) == (6, 32)
    assert rows_of(x[:, :, :5]) == (6, 32)
    assert rows_of(x[:, :2]) is None
    assert rows_of(x.transpose(0, 2, 1)) is None
    assert rows_of(np.broadcast_to(made(8), (4, 8))) is None
    assert rows_of(last(image(1, 5, 2, 2))) == (4, 20)


def test_the_order_of_sums_is_the_same_in_every_row() -> None:
    row, w = made(1, 300), made(300, 70)
    one, many = np.empty((1, 70), np.float32), np.empty((20, 70), np.float32)
    product(row, w, one, Ending())()
    product(np.repeat(row, 20, axis=0), w, many, Ending())()
    assert all(np.array_equal(one[0], found) for found in many)
