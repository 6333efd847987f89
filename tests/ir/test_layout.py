"""Layouts: what storage they need, whom they can store, and which granules a slice touches."""

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.layout import LAYOUTS, ROW_MAJOR, STORED
from emu.ir.regions import Span, covered, touched
from emu.ir.types import TensorType


@pytest.mark.parametrize(
    ("layout", "shape", "stored"),
    [
        ("nhwc", (1, 3, 7, 7), (1, 3, 7, 7)),
        ("nchw16c", (1, 3, 7, 7), (1, 16, 7, 7)),
        ("oihw16i16o", (64, 3, 7, 7), (64, 16, 7, 7)),
        ("goihw16g", (20, 1, 3, 3), (32, 1, 3, 3)),
        ("t8x128", (2, 12, 100), (2, 16, 128)),
        ("t32x32", (12, 100), (32, 128)),
        ("nhwc.t8x128", (1, 64, 56, 7), (1, 128, 56, 8)),
        ("hwio.t8x128", (64, 3, 7, 7), (128, 8, 7, 7)),
        ("nhwc.t32x32", (1, 64, 56, 7), (1, 64, 56, 32)),
        ("hwio.t32x32", (64, 3, 7, 7), (64, 32, 7, 7)),
    ],
)
def test_storage_is_padded_to_whole_granules(
    layout: str, shape: tuple[int, ...], stored: tuple[int, ...]
) -> None:
    assert TensorType("f32", shape, layout).bytes == 4 * prod(stored)


@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (1, 3, 7, 7)])
def test_row_major_storage_is_dense(shape: tuple[int, ...]) -> None:
    assert TensorType("f32", shape).bytes == 4 * prod(shape)


def test_a_layout_is_printed_as_the_encoding_of_its_type() -> None:
    assert str(TensorType("f32", (1, 64, 56, 56), "nhwc")) == 'tensor<1x64x56x56xf32, "nhwc">'
    assert str(TensorType("f32", (2, 3), ROW_MAJOR)) == "tensor<2x3xf32>"


@pytest.mark.parametrize(
    ("layout", "ranks"),
    [(ROW_MAJOR, {0, 1, 2, 3, 4, 5}), ("nhwc", {4}), ("nchw16c", {4}), ("t8x128", {2, 3, 4, 5})],
)
def test_a_layout_stores_values_that_have_its_dimensions(layout: str, ranks: set[int]) -> None:
    assert {rank for rank in range(6) if STORED[layout].stores(rank)} == ranks


def test_every_scheme_names_layouts_that_exist() -> None:
    schemes = [scheme for schemes in LAYOUTS.values() for scheme in schemes]
    named = {name for s in schemes for name in (s.data, s.weight, s.grouped)}
    assert named | {ROW_MAJOR} == STORED.keys()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.sampled_from((1, 2, 8, 16)))
def test_a_span_moves_every_granule_that_one_of_its_elements_lies_in(
    start: int, length: int, step: int, granule: int
) -> None:
    span = Span(start, start + length, step)
    numbers = {element // granule for element in range(start, start + length, step)}
    assert set(touched(span, granule)) == numbers
    assert covered(span, granule) == granule * len(numbers)
