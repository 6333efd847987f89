"""Slices follow loops: intervals, spans, the runs that are alike, and the room of buffers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.regions import (
    Run,
    Span,
    footprint_bytes,
    largest,
    region,
    runs,
    shape,
    span,
    steps,
    trips,
)
from emu.ir.tile import WHOLE, Axes, Axis, Buffer, Loop, TileProgram, View
from emu.ir.types import TensorType


def program(loops: tuple[Loop, ...], axes: Axes, dims: tuple[int, ...]) -> TileProgram:
    view = View(TensorType("f32", dims), "input", 0)
    return TileProgram("p", (view,), loops, (Buffer(0, axes, 2),), ())


def test_a_loop_takes_full_steps_and_a_shorter_last_one() -> None:
    loop = Loop(10, 4)
    assert list(steps(loop, {})) == [(0, 4), (4, 8), (8, 10)]
    assert trips(loop, {}) == 3


def test_a_loop_with_a_parent_divides_the_interval_of_its_parent() -> None:
    loop = Loop(10, 2, parent=0)
    assert list(steps(loop, {0: (5, 10)})) == [(5, 7), (7, 9), (9, 10)]
    assert trips(loop, {0: (5, 10)}) == 3


@pytest.mark.parametrize(
    ("axis", "extent", "wanted"),
    [
        (WHOLE, 9, Span(0, 9)),
        (Axis(0), 9, Span(2, 5)),
        (Axis(0, 2, -1, 3), 99, Span(3, 10)),  # a 3-window with stride 2 and padding 1
        (Axis(0, 2, -1, 3), 8, Span(3, 8)),
        (Axis(0, 2), 99, Span(4, 9, 2)),  # every second element
        (Axis(0, 2, -7), 99, Span(1, 2, 2)),  # -3, -1, 1: the phase stays
        (Axis(0, 1, -9), 99, Span(0, 0)),  # wholly below
        (Axis(0, 1, 9), 5, Span(5, 5)),  # wholly above
        (Axis(0, 4, 0, 4, divide=2), 99, Span(4, 10)),
    ],
)
def test_a_span_is_the_clipped_image_of_an_interval(axis: Axis, extent: int, wanted: Span) -> None:
    assert span(axis, {0: (2, 5)}, extent) == wanted


def test_the_length_of_a_span_counts_its_elements() -> None:
    assert [Span(1, 6).length, Span(1, 6, 2).length, Span(4, 4).length] == [5, 3, 0]


def test_a_region_has_a_span_for_each_dimension() -> None:
    made = program((Loop(10, 4),), (WHOLE, Axis(0)), (3, 10))
    spans = region(made, made.buffers[0], {0: (8, 10)})
    assert shape(spans) == (3, 2)


def test_iterations_that_are_clipped_or_shorter_are_runs_of_one() -> None:
    made = program((Loop(20, 3),), (Axis(0, 1, -4, 9),), (20,))
    assert [(run.interval, run.count) for run in runs(made, 0, {})] == [
        ((0, 3), 1),  # clipped below
        ((3, 6), 1),  # clipped below
        ((6, 9), 3),
        ((15, 18), 1),  # clipped above
        ((18, 20), 1),
    ]


def test_even_steps_without_edges_are_one_run_unless_the_first_is_to_be_alone() -> None:
    made = program((Loop(12, 3),), (Axis(0),), (12,))
    assert runs(made, 0, {}) == (Run((0, 3), 4),)
    assert runs(made, 0, {}, first_alone=True) == (Run((0, 3), 1), Run((3, 6), 3))


LOOPS = st.builds(Loop, st.integers(1, 30), st.integers(1, 9))
AXES = st.builds(
    Axis,
    st.just(0),
    stride=st.integers(1, 3),
    offset=st.integers(-6, 6),
    window=st.integers(1, 7),
)


@settings(max_examples=200, deadline=None)
@given(
    axis=AXES,
    extent=st.integers(1, 40),
    loop=st.builds(Loop, st.integers(1, 30), st.integers(1, 9)),
)
def test_all_iterations_of_a_run_have_slices_of_one_length(
    axis: Axis, extent: int, loop: Loop
) -> None:
    made = program((loop,), (axis,), (extent,))
    lengths = [span(axis, {0: interval}, extent).length for interval in steps(loop, {})]
    found = [
        span(axis, {0: run.interval}, extent).length
        for run in runs(made, 0, {})
        for _ in range(run.count)
    ]
    assert found == lengths
    assert max(lengths) <= largest(made, made.buffers[0])[0]


def test_lineage_and_followers_reach_from_an_inner_loop_to_the_outer_one() -> None:
    made = program((Loop(8, 4, parallel=True), Loop(8, 2, parent=0), Loop(5, 5)), (Axis(1),), (8,))
    assert list(made.lineage(1)) == [1, 0]
    assert made.followers == (((Axis(1), 8, 1),), ((Axis(1), 8, 1),), ())


def test_the_footprint_holds_every_version_of_each_buffer_at_its_largest() -> None:
    made = program((Loop(10, 4),), (Axis(0, 1, -1, 3), WHOLE), (10, 5))
    assert footprint_bytes(made) == 2 * (4 + 2) * 5 * 4
