"""Look-ups by indices do what the op table says, alone and with their neighbours."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body, BodyNode, freeze
from emu.ir.errors import BadValues
from emu.ir.graph import Attr
from emu.ir.held import value_type
from emu.ir.ops import OPS
from emu.ir.types import Array
from emu.kernels.fast import Scratch, bind, flat, joined
from emu.kernels.fast.memory import aligned, bytes_of
from emu.kernels.fast.places import MOST_FOUND
from emu.kernels.fast.writer import Held

SHAPE = (3, 5, 4)
AXES = st.integers(-3, 2)


def steps_of(op: str, inputs: list[Array], attrs: dict[str, Attr]) -> tuple[list[object], Array]:
    """The steps of one node, and where its result will be."""
    types = [value_type(a) for a in inputs]
    made = OPS[op].infer(types, attrs)
    ins, out = tuple(range(len(inputs))), len(inputs)
    node = BodyNode(op, ins, (out,), freeze(attrs))
    body = Body((node,), (*types, *made), len(inputs), frozenset(), (out,))
    found = bind(body, inputs, [aligned(bytes_of(made[0]))], Scratch())
    return [*flat(found.calls)], found.outputs[0]


def assert_right(op: str, inputs: list[Array], is_native: bool = True, **attrs: Attr) -> None:
    wanted = OPS[op].run(*(a.copy() for a in inputs), **attrs)
    calls, out = steps_of(op, inputs, attrs)
    assert isinstance(calls[-1], Held) == is_native
    for call in calls:
        assert callable(call)
        call()
    assert out.dtype == wanted.dtype
    assert np.array_equal(out, wanted, equal_nan=out.dtype.kind == "f")


def data(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "float32") -> Array:
    """Few different numbers, so that there are equal ones."""
    return rng.integers(-6, 6, shape).astype(dtype)


def as_image(x: Array) -> Array:
    return np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)


@st.composite
def along(draw: st.DrawFn) -> tuple[Array, Array, Array, int]:
    """Data, indices that are as many elsewhere than along an axis, updates, and the axis."""
    rng, axis = np.random.default_rng(draw(st.integers(0, 99))), draw(AXES)
    shape = [*SHAPE]
    shape[axis] = draw(st.integers(0, 7))
    indices = rng.integers(-SHAPE[axis], SHAPE[axis], shape)
    x, updates = data(rng, SHAPE), data(rng, tuple(shape))
    if draw(st.booleans()):
        x, updates, indices = as_image(x), as_image(updates), indices.astype(np.int32)
    return x, indices, updates, axis


@settings(max_examples=40, deadline=None)
@given(along(), st.sampled_from(["float32", "int64"]))
def test_elements_are_taken_and_put_along_an_axis(
    drawn: tuple[Array, Array, Array, int], dtype: str
) -> None:
    x, indices, updates, axis = drawn
    x, updates = x.astype(dtype), updates.astype(dtype)
    assert_right("GatherElements", [x, indices], axis=axis)
    assert_right("ScatterElements", [x, indices, updates], axis=axis)
    adds = dtype == "float32"
    assert_right("ScatterElements", [x, indices, updates], adds, axis=axis, reduction="add")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), AXES, st.sampled_from(["float32", "int64", "float16", "bool"]))
def test_parts_are_taken_in_any_type(seed: int, axis: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    x = data(rng, SHAPE, dtype)
    for shape in ((), (2,), (0,), (2, 3)):
        assert_right("Gather", [x, rng.integers(-SHAPE[axis], SHAPE[axis], shape)], axis=axis)
    assert_right("Gather", [as_image(x), np.array([0, -1], np.int32)], axis=axis)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_slices_are_taken_and_put_by_rows_of_indices(depth: int) -> None:
    rng = np.random.default_rng(depth)
    x = data(rng, SHAPE)
    rows = np.stack([rng.integers(-n, n, (2, 6)) for n in SHAPE[:depth]], -1)
    assert_right("GatherND", [x, rows])
    updates = data(rng, (2, 6, *SHAPE[depth:]))
    assert_right("ScatterND", [x, rows, updates])
    assert_right("ScatterND", [x, rows, updates], is_native=False, reduction="max")


@pytest.mark.parametrize("batch", [1, 2])
def test_slices_of_each_batch_are_taken_apart(batch: int) -> None:
    rng = np.random.default_rng(batch)
    rows = rng.integers(-4, 4, (*SHAPE[:batch], 7, 1))
    assert_right("GatherND", [data(rng, SHAPE), rows], batch_dims=batch)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), AXES, st.integers(0, 4), st.sampled_from([0, 1]), st.booleans())
def test_places_are_found_in_order_and_nan_is_last(
    seed: int, axis: int, k: int, largest: int, image: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = data(rng, SHAPE)
    x[rng.random(SHAPE) < 0.2] = np.nan
    x[rng.random(SHAPE) < 0.1] = np.inf
    x = as_image(x) if image else x
    assert_right("TopPlaces", [x], axis=axis, k=min(k, SHAPE[axis]), largest=largest)
    for op in ("ArgMax", "ArgMin"):
        assert_right(op, [x], axis=axis, keepdims=largest)
        assert_right(op, [x], is_native=False, axis=axis, select_last_index=1)


def test_many_places_and_those_of_whole_numbers_are_sorted() -> None:
    x = np.random.default_rng(0).standard_normal((2, 300), dtype=np.float32)
    assert_right("TopPlaces", [x], k=MOST_FOUND)
    assert_right("TopPlaces", [x], is_native=False, k=MOST_FOUND + 1)
    assert_right("TopPlaces", [x.astype(np.int64)], is_native=False, k=2)


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_outside_is_named_alone_and_among_other_steps(index: int) -> None:
    inputs = [np.zeros((5, 2), np.float32), np.array([0, index])]
    calls, _ = steps_of("Gather", inputs, {"axis": 0})
    steps = [call for call in calls if isinstance(call, Held)]
    for (count, call), wanted in ((joined(steps)[0], 1), (joined(steps * 3)[0], 3)):
        assert count == wanted
        with pytest.raises(BadValues, match=f"index {index} is outside of 5 entries"):
            call()


def test_texts_are_taken_as_the_op_table_says() -> None:
    words = np.array(["a", "b", "c"], object)
    wanted = OPS["Gather"].run(words, np.array([2, 0]))
    calls, out = steps_of("Gather", [words, np.array([2, 0])], {})
    assert [isinstance(call, partial) for call in calls] == [True]
    for call in calls:
        assert callable(call)
        call()
    assert out.tolist() == wanted.tolist()
