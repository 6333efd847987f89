"""Engines that set up descriptors and move whole bursts, by hand and against every start."""

from collections.abc import Callable
from dataclasses import replace
from math import gcd
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.cores import CoreDevice
from emu.devices.datasheet import FOLDER, load_datasheet
from emu.devices.dma import burst_bytes, descriptors
from emu.devices.slices import Slice, Taken, slice_of
from emu.devices.tile_cost import Shares, TileCost
from emu.ir.body import Body
from emu.ir.errors import DatasheetError
from emu.ir.tile import Load, TileProgram
from emu.ir.types import TensorType
from emu.kernels.tiling import Tiling
from tests.devices.programs import BODIES, add_body, program_of

IMAGE = TensorType("f32", (2, 16, 64, 64))


def chip(**facts: float) -> CoreDevice:
    sheet = load_datasheet("npu")
    assert sheet.dma is not None
    return CoreDevice(replace(sheet, dma=replace(sheet.dma, **facts)))


def band(channels: int, rows: int, columns: int) -> Slice:
    """A part of one image, as one tile of many that start at its multiples."""
    sizes = (1, channels, rows, columns)
    whole = zip(sizes, IMAGE.dims, strict=True)
    return slice_of(IMAGE, tuple(Taken(n, grain=n if n < all else 0) for n, all in whole))


@pytest.mark.parametrize(
    ("part", "dims", "count"),
    [
        (band(16, 64, 64), 1, 1),  # a whole image is one run
        (band(16, 8, 64), 1, 16),  # whole rows of each channel
        (band(16, 8, 64), 2, 1),
        (band(16, 8, 32), 1, 16 * 8),  # half rows
        (band(16, 8, 32), 2, 8),  # the longest dimension is in one descriptor
        (band(16, 8, 32), 3, 1),
        (replace(band(16, 8, 32), rows=5), 3, 5),  # each wherever an index says
    ],
)
def test_a_descriptor_says_a_run_and_how_it_repeats(part: Slice, dims: int, count: int) -> None:
    assert descriptors(part, dims) == count


@pytest.mark.parametrize(
    ("part", "moved"),
    [
        (band(1, 1, 16), 64),  # one burst, and every tile starts with one
        (band(1, 8, 8), 8 * 64),  # half of each
        (band(1, 1, 12), 48 + 64 - 16),  # starts at 16 bytes: 64, 64, 128 or 128 bytes of bursts
        (band(1, 64, 1), 64 * 64),  # a column: a burst for every element
        (band(16, 64, 64), 16 * 64 * 64 * 4),
    ],
)
def test_what_runs_leave_of_bursts_is_moved_too(part: Slice, moved: int) -> None:
    assert burst_bytes(part, 64) == moved


def test_runs_nearer_than_a_burst_are_moved_as_one() -> None:
    """Every second of 64 floats: two bursts have 8 of them each, as does what lies between."""
    type = TensorType("f32", (64,))
    assert burst_bytes(slice_of(type, (Taken(32, step=2),)), 64) == 256
    assert burst_bytes(slice_of(type, (Taken(4, step=16),)), 64) == 4 * 64


@settings(max_examples=200, deadline=None, database=None)
@given(
    run=st.integers(1, 300),
    grain=st.integers(1, 128),
    burst=st.sampled_from((16, 32, 64, 128)),
)
def test_bursts_are_those_that_runs_touch_on_average(run: int, grain: int, burst: int) -> None:
    """Counted for every start that tiles of one size have in a burst."""
    part = slice_of(TensorType("i8", (10_000,)), (Taken(run, grain=grain),))
    step = gcd(grain, burst)
    touched = [-(-(start + run) // burst) * burst for start in range(0, burst, step)]
    assert burst_bytes(part, burst) * len(touched) == sum(touched)
    assert run <= burst_bytes(part, burst) < run + 2 * burst
    assert burst_bytes(part, burst) <= burst_bytes(part, 2 * burst)


def first_load(device: CoreDevice, program: TileProgram) -> tuple[int, dict[str, int]]:
    """For how long the first load holds its engine, and why."""
    cost = TileCost(program, device.rates, Shares())
    place = next(
        place
        for place, part in enumerate(cost.course.parts)
        if isinstance(program.statements[part.number].statement, Load)
    )
    busy = cost.busy(place).settle()
    return busy.ps, {cause: ps for (_, cause), ps in busy.shares}


def test_an_engine_takes_the_longer_of_its_descriptors_and_its_bursts() -> None:
    """[32, 8] of [1024, 256] on each of 16 cores of 200 GB/s: 32 runs of 32 bytes, half a burst."""
    program = program_of(add_body(1024, 256), Tiling((32, 8), cores=16))
    size = 16 * 32 * 32
    moving = first_load(chip(descriptor_ns=1), program)
    assert moving == (2 * size * 5, {"intermediate": size * 5, "padding": size * 5})
    assert first_load(chip(descriptor_ns=500), program) == (500_000, {"slower_path": 500_000})
    assert first_load(chip(descriptor_ns=500, descriptor_dims=1), program)[0] == 32 * 500_000


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_more_to_set_up_and_longer_bursts_are_never_faster(body: Callable[[], Body]) -> None:
    shape = body().types[-1].dims
    program = program_of(body(), Tiling(tuple(max(1, n // 4) for n in shape), cores=16))
    for key, figures in (
        ("descriptor_ns", (1, 20, 400, 8000)),
        ("burst_bytes", (16, 32, 64, 256, 1024)),
    ):
        found = [chip(**{key: figure}).price(program) for figure in figures]
        assert found == sorted(found)


def test_only_a_fixed_schedule_has_descriptors(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    npu = (FOLDER / "npu.toml").read_text()
    path.write_text(npu.replace("[dma]", "[dmas]"))
    with pytest.raises(DatasheetError, match="dmas: unknown key; did you mean 'dma'"):
        load_datasheet(path)
    start, end = npu.index("[dma]"), npu.index("[network]")
    path.write_text(npu[:start] + npu[end:])
    with pytest.raises(DatasheetError, match="dma: is missing: an npu needs it"):
        load_datasheet(path)
    gpu = (FOLDER / "gpu.toml").read_text()
    path.write_text(gpu.replace("[link]", npu[start:end] + "[link]"))
    with pytest.raises(DatasheetError, match="dma: only an npu has it, not a gpu"):
        load_datasheet(path)
