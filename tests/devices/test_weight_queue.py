"""Weights that come to an array through a queue: the first tile starts a product."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.arrays import NATIVE
from emu.devices.datasheet import FOLDER, load_datasheet
from emu.devices.rates import Rates
from emu.devices.recorder import Recorder
from emu.devices.tile_cost import Shares, TileCost
from emu.devices.timeline import OPEN, Clockwork
from emu.devices.weight_queue import queued_buffers
from emu.devices.wires import MATRIX, PRELOAD
from emu.ir.errors import DatasheetError
from emu.kernels.tiling import Tiling
from tests.devices.programs import integer_body, program_of
from tests.devices.test_timeline import accounts

CHIP = "tpu_v1"  # the array is 256 x 256, a cycle 1/700 us, the memory 34 GB/s
CYCLE = 10**6 / 700


def clockwork(
    m: int, n: int, k: int, tiling: Tiling, tiles: int = 4, array_model: str = NATIVE
) -> Clockwork:
    sheet = load_datasheet(CHIP)
    assert sheet.weight_fifo is not None
    sheet = replace(sheet, weight_fifo=replace(sheet.weight_fifo, tiles=tiles))
    program = program_of(integer_body(m, n, k), tiling)
    return Clockwork(TileCost(program, Rates(sheet), Shares(), array_model))


@st.composite
def cases(draw: st.DrawFn) -> Clockwork:
    """Few tiles of several folds each."""
    tile, step = draw(st.sampled_from(((64, 300), (300, 64), (200, 600)))), (0, 256, 700)
    tiling = Tiling(tile, draw(st.sampled_from(step)), tuple(draw(st.permutations((0, 1)))))
    m, n, k = (draw(st.integers(1, most)) for most in (600, 1200, 1800))
    return clockwork(m, n, k, tiling, draw(st.sampled_from((1, 4))))


def none(work: Clockwork) -> tuple[int, ...]:
    return (0,) * (OPEN + 1 + len(work.inputs))


def test_a_product_that_waits_for_its_weights_ends_soon_after_the_last_tile() -> None:
    """Eight tiles: all loads, the latency, then the shift, the rows and the drain of the last."""
    work = clockwork(200, 256, 2048, Tiling((200, 256)))
    loads = (200 * 2048 + 2048 * 256) * 1000 / 34
    store = 4 * 200 * 256 * 1000 / 34
    end = loads + 200_000 + (256 + 200 + 510) * CYCLE + store

    passage = work.passage(none(work))

    assert passage.end.ps == pytest.approx(end, abs=8)
    assert sum(work.charges(passage.end.path, Shares()).values()) == passage.end.ps


def test_every_fold_waits_for_its_tile_and_shifts_it_in_when_it_is_there() -> None:
    work = clockwork(200, 256, 2048, Tiling((200, 256)))
    recorder = Recorder()
    end = work.passage(none(work), recorder=recorder).end.ps
    shifts = [h for h in recorder.held if h.resource == PRELOAD]
    streams = [h for h in recorder.held if h.resource == MATRIX]
    assert (len(shifts), len(streams)) == (8, 8)
    data, tile = 200 * 2048 * 1000 / 34, 65536 * 1000 / 34
    for i, (shift, stream) in enumerate(zip(shifts, streams, strict=True)):
        arrived = data + (i + 1) * tile + 200_000
        assert shift.start_ps == pytest.approx(arrived, abs=10)
        assert stream.start_ps == pytest.approx(shift.end_ps, abs=10)
        assert stream.end_ps - stream.start_ps == pytest.approx(200 * CYCLE, abs=2)
    assert streams[-1].end_ps < end


def test_tiles_that_are_there_follow_each_other_as_fast_as_the_array_takes_them() -> None:
    """Many rows: the array is held by them, and only the first of four tiles is waited for."""
    work = clockwork(4000, 256, 1024, Tiling((4000, 256)))
    data, tile = 4000 * 1024 * 1000 / 34, 65536 * 1000 / 34
    streamed = data + tile + 200_000 + (256 + 4 * 4000 + 510) * CYCLE
    end = streamed + 4 * 4000 * 256 * 1000 / 34
    assert work.passage(none(work)).end.ps == pytest.approx(end, abs=8)


@pytest.mark.parametrize("tiles", [1, 4, 7, 8, 16])
def test_no_more_is_loaded_ahead_than_the_queue_has_room_for(tiles: int) -> None:
    """The array is busy for a millisecond: then a queue of four tiles has four of eight."""
    late, tile = 10**9, 65536 * 1000 / 34
    work = clockwork(8, 256, 2048, Tiling((8, 256)), tiles)
    entries = (*(late if i in (MATRIX, PRELOAD) else 0 for i in range(OPEN)), 0, 0, 0)
    last_shifted = late + max(8 * 256 * CYCLE, max(0, 8 - tiles) * tile + 256 * CYCLE)
    end = last_shifted + (8 + 510) * CYCLE + 4 * 8 * 256 * 1000 / 34
    assert work.passage(entries).end.ps == pytest.approx(end, abs=8)


def test_a_longer_queue_is_never_slower() -> None:
    ends = [
        work.passage(none(work)).end.ps
        for tiles in (1, 2, 4, 8, 64)
        for work in (clockwork(200, 1024, 2048, Tiling((200, 256)), tiles),)
    ]
    assert ends == sorted(ends, reverse=True)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), work=cases())
def test_jumping_over_periods_equals_stepping(data: st.DataObject, work: Clockwork) -> None:
    lengths = st.integers(0, 10**6)
    entries = (0, *(data.draw(lengths) for _ in range(OPEN + len(work.inputs))))
    jumped, stepped = work.passage(entries), work.passage(entries, stepwise=True)
    assert accounts(work, entries, jumped) == accounts(work, entries, stepped)


@settings(max_examples=30, deadline=None)
@given(work=cases())
def test_the_folds_of_a_product_are_in_order_and_end_with_it(work: Clockwork) -> None:
    recorder = Recorder()
    end = work.passage(none(work), stepwise=True, recorder=recorder).end.ps
    for resource in (MATRIX, PRELOAD):
        free = 0
        for held in (h for h in recorder.held if h.resource == resource):
            assert free - 1 <= held.start_ps <= held.end_ps <= end  # rounded down once
            free = held.end_ps


def test_only_weights_from_memory_wait_in_the_queue() -> None:
    work = clockwork(200, 256, 2048, Tiling((200, 256)))
    (weights,) = queued_buffers(work.cost)
    assert work.program.views[work.program.buffers[weights].value].role == "weight"
    assert not queued_buffers(
        clockwork(200, 256, 2048, Tiling((200, 256)), array_model="onnxim-ws").cost
    )
    none_of_it = replace(load_datasheet(CHIP), weight_fifo=None)
    assert not queued_buffers(TileCost(work.program, Rates(none_of_it), Shares()))


def test_only_a_systolic_array_has_a_queue_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    block = '[weight_fifo]\ntiles = 4\nsource = "mine"\n\n[memory.dram]'
    path.write_text((FOLDER / "npu.toml").read_text().replace("[memory.dram]", block))
    with pytest.raises(DatasheetError, match="weight_fifo: only a systolic array has one, not a n"):
        load_datasheet(path)
