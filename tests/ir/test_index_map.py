"""Index maps: where elements lie by hand, that nothing is lost, and what a wrong map loses."""

from itertools import permutations
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.index_map import pack, spelled, unpack
from emu.ir.layout import ROW_MAJOR, STORED, stored_by
from emu.ir.types import TensorType


@pytest.mark.parametrize(
    ("text", "shape", "memory"),
    [
        ("nchw", (1, 2, 1, 2), [0, 1, 2, 3]),
        ("nhwc", (1, 2, 1, 2), [0, 2, 1, 3]),
        ("..", (2, 2), [0, 1, 2, 3]),
        ("..rc2r2c", (2, 4), [0, 1, 4, 5, 2, 3, 6, 7]),
        ("..rc2r2c", (1, 3), [0, 1, 0, 0, 2, 0, 0, 0]),
        ("nchw2c", (1, 3, 1, 2), [0, 2, 1, 3, 4, 0, 5, 0]),
        ("oihw2i2o", (2, 2, 1, 1), [0, 2, 1, 3]),
    ],
)
def test_elements_lie_where_the_map_says(
    text: str, shape: tuple[int, ...], memory: list[int]
) -> None:
    array = np.arange(prod(shape)).reshape(shape)
    assert pack(spelled(text), array).tolist() == memory


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(STORED)), st.lists(st.integers(1, 19), min_size=4, max_size=4))
def test_what_a_layout_packs_it_unpacks_in_the_bytes_of_its_type(
    name: str, extents: list[int]
) -> None:
    shape = tuple(extents)
    array = np.arange(prod(shape), dtype=np.float32).reshape(shape)
    memory = pack(STORED[name].map, array)
    assert memory.nbytes == TensorType("f32", shape, name).bytes
    assert np.array_equal(unpack(STORED[name].map, memory, shape), array)


@pytest.mark.parametrize("order", list(permutations("nchw")))
def test_a_permutation_of_the_dimensions_is_a_transpose(order: tuple[str, ...]) -> None:
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    axes = ["nchw".index(letter) for letter in order]
    packed = pack(spelled("".join(order)), array)
    assert np.array_equal(packed, array.transpose(axes).ravel())


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("nhw", 1 / 20),
        ("nhw16c", 16 / 20),
        ("nh16wc", 16 / 20),
        ("nch", 1 / 20),
        ("nch16w", 16 / 20),
        ("..rc8r", 1),
        ("..r", 1),
        ("nchw16c4w", 1),
    ],
)
def test_a_dimension_without_a_term_of_its_own_lies_upon_itself(text: str, keeps: float) -> None:
    shape = (2, 20, 3, 20)
    array = 1 + np.arange(prod(shape)).reshape(shape)
    back = unpack(spelled(text), pack(spelled(text), array), shape)
    assert np.mean(back == array) == pytest.approx(keeps)


@pytest.mark.parametrize(
    "text", ["", "nchx", "n c", "0c", "nchw99999c", "rc", "..n", "NCHW", "..."]
)
def test_what_spells_no_map_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="spells no index map"):
        spelled(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nchw", ROW_MAJOR),
        ("oihw", ROW_MAJOR),
        ("..rc", ROW_MAJOR),
        ("ohwi", "nhwc"),
        ("nchw16c", "nchw16c"),
        ("oihw16o", "goihw16g"),
        ("..rc32r32c", "t32x32"),
        ("nhwc8w128c", "nhwc.t8x128"),
        ("nwhc", None),
        ("nchw8c", None),
        ("..rc16r16c", None),
    ],
)
def test_a_layout_is_found_by_its_map_not_by_its_name(text: str, name: str | None) -> None:
    assert stored_by(spelled(text)) == name
