"""Where the bytes of a slice lie in device memory, against the places that index maps give."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.slices import Box, Taken, slice_in, slice_of
from emu.ir.body import Body, BodyNode
from emu.ir.index_map import placed
from emu.ir.layout import STORED, granule
from emu.ir.tile import Gather, Load
from emu.ir.types import TensorType
from emu.kernels.movement import build_movement
from emu.kernels.tiling import Tiling
from tests.devices.programs import matmul_body, program_of

IMAGE = TensorType("f32", (2, 6, 5, 4))


def whole(type: TensorType) -> tuple[Taken, ...]:
    return tuple(map(Taken, type.dims))


@pytest.mark.parametrize(
    ("taken", "box"),
    [
        (whole(IMAGE), Box(2 * 6 * 5 * 4 * 4, (), 0)),
        ((Taken(1, grain=1), *map(Taken, (6, 5, 4))), Box(6 * 5 * 4 * 4, (), 480)),
        ((Taken(2), Taken(3, grain=3), Taken(5), Taken(4)), Box(240, ((2, 480),), 240)),
        ((Taken(2), Taken(6), Taken(2, grain=2), Taken(4)), Box(32, ((6, 80), (2, 480)), 32)),
        ((Taken(2), Taken(6), Taken(5), Taken(2, step=2)), Box(4, ((2, 8), (5, 16), (12, 80)), 0)),
        ((Taken(1, grain=1), Taken(1, grain=1), Taken(1, grain=1), Taken(4)), Box(16, (), 16)),
    ],
)
def test_a_slice_is_runs_at_strides(taken: tuple[Taken, ...], box: Box) -> None:
    """Row-major [2, 6, 5, 4] of f32: 16 bytes a row, 80 a channel, 480 an image."""
    found = slice_of(IMAGE, taken).box
    assert (found.run, found.grain) == (box.run, box.grain)
    assert places(found) == places(box)


def places(box: Box) -> list[int]:
    """Every byte of a box, from its first."""
    starts = product(*(range(0, count * apart, apart) for count, apart in box.steps))
    return sorted(sum(start) + i for start in starts for i in range(box.run))


def starts(box: Box) -> int:
    """How many runs a box has."""
    return int(np.prod([count for count, _ in box.steps], dtype=np.int64))


@st.composite
def slices(draw: st.DrawFn) -> tuple[TensorType, tuple[slice, ...]]:
    """A value in some layout, and a part of it in whole granules."""
    layout = draw(st.sampled_from(sorted(STORED)))
    rank = STORED[layout].rank or draw(st.integers(max(2, len(STORED[layout].granule)), 4))
    dims = tuple(draw(st.integers(1, 40)) for _ in range(rank))
    parts: list[slice] = []
    for extent, grain in zip(dims, granule(layout, rank), strict=True):
        blocks = -(-extent // grain)
        start = draw(st.integers(0, blocks - 1))
        stop = draw(st.integers(start + 1, blocks))
        parts.append(slice(start * grain, stop * grain))
    return TensorType("f16", dims, layout), tuple(parts)


@settings(max_examples=200, deadline=None, database=None)
@given(slices())
def test_a_box_has_the_places_of_the_elements(found: tuple[TensorType, tuple[slice, ...]]) -> None:
    """Against the place of every element of the value, padded to whole granules."""
    type, parts = found
    room = tuple(-(-d // g) * g for d, g in zip(type.dims, type.granule, strict=True))
    map, _ = placed(STORED[type.layout].map, room)
    there = np.sort(map[parts].ravel()) * type.itemsize
    taken = tuple(Taken(part.stop - part.start, grain=part.start) for part in parts)
    box = slice_of(type, taken).box
    assert box.run * starts(box) == there.size * type.itemsize == slice_of(type, taken).bytes
    first = int(there[0])
    assert [first + place for place in places(box)[:: type.itemsize]] == there.tolist()
    assert first % (box.grain or first or 1) == 0


def test_tiles_of_one_size_are_one_slice_wherever_they_start() -> None:
    program = program_of(matmul_body(256, 128, 64), Tiling((32, 64), 16))
    loads = [p.statement for p in program.statements if isinstance(p.statement, Load)]
    ends = [((0, loop.step), (loop.extent - loop.step, loop.extent)) for loop in program.loops]
    frames = [dict(enumerate(frame)) for frame in product(*ends)]
    found = {slice_in(program, loads[0], frame) for frame in frames}
    assert [(one.box, one.bytes) for one in found] == [(Box(64, ((32, 256),), 64), 2048)]


def test_rows_that_an_index_names_lie_apart() -> None:
    """A table [1, 1000, 8] of f32: 12 rows of 32 bytes, wherever they are."""
    table, index = TensorType("f32", (1, 1000, 8)), TensorType("i32", (12,))
    found = TensorType("f32", (1, 12, 8))
    node = BodyNode("Gather", (0, 1), (2,), (("axis", 1),))
    body = Body((node,), (table, index, found), 2, frozenset(), (2,))
    program = build_movement(body, Tiling((1, 12, 8)), "gather")
    (gather,) = (p.statement for p in program.statements if isinstance(p.statement, Gather))
    everything = dict(enumerate((0, loop.extent) for loop in program.loops))
    rows = slice_in(program, gather, everything)
    assert (rows.rows, rows.bytes, rows.box) == (12, 12 * 32, Box(32, (), 32))
