"""An array sums into accumulators; what they hold bounds the rows and columns of a tile."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from emu.devices.cores import CoreDevice
from emu.devices.datasheet import FOLDER, load_datasheet
from emu.ir.errors import DatasheetError
from emu.ir.tile import TileProgram
from emu.kernels.libraries import LIBRARIES
from emu.kernels.tiling import Tiling
from emu.tiles import Tiler
from tests.devices.programs import integer_body, matmul_body, program_of

DEEP = LIBRARIES["deep"]


@cache
def chip(kib: float | None) -> CoreDevice:
    sheet = load_datasheet("tpu_v1")
    assert sheet.accumulators is not None
    block = None if kib is None else replace(sheet.accumulators, capacity_kib=kib)
    return CoreDevice(replace(sheet, accumulators=block))


def tile(rows: int, columns: int, depth: int = 1) -> TileProgram:
    return program_of(integer_body(4096, 2048, 512), Tiling((rows, columns), 256, depth=depth))


def test_sums_of_32_bits_of_all_versions_take_room() -> None:
    """TPU v1: 4096 accumulators of 256 sums, or twice 2048."""
    device = chip(4096)
    assert device.summed_bytes(tile(4096, 256)) == 4096 * 256 * 4 == 4 << 20
    assert device.fits(tile(4096, 256))
    assert not device.fits(tile(4096, 257))
    assert device.fits(tile(2048, 256, depth=2))
    assert not device.fits(tile(2048, 264, depth=2))
    assert chip(None).fits(tile(2048, 264, depth=2))


def test_products_in_lanes_sum_anywhere() -> None:
    """The array of TPU v1 has no f32, so such a product runs on the vector unit."""
    program = program_of(matmul_body(2048, 1024, 64), Tiling((2048, 1024), depth=1))
    assert chip(1).summed_bytes(program) == 0
    assert chip(1).fits(program)


@pytest.mark.parametrize("how", ["exhaustive", "heuristic"])
def test_with_fewer_accumulators_tiles_are_smaller_and_never_faster(how: str) -> None:
    body, prices = integer_body(4096, 2048, 512), list[int]()
    kernel = next(kernel for kernel in DEEP.kernels if kernel.refusal(body) is None)
    for kib in (None, 4096, 1024, 256, 32):
        device = chip(kib)
        choice = Tiler(device, device.machine, how).best(DEEP, kernel, body, None)
        assert choice.program is not None
        assert kib is None or device.summed_bytes(choice.program) <= kib * 1024
        prices.append(choice.ps)
    assert how == "heuristic" or prices == sorted(prices)
    assert prices[0] < prices[-1]


def test_sums_that_no_tile_leaves_room_for_are_refused_by_name() -> None:
    body, device = integer_body(64, 64, 64), chip(0.125)
    kernel = next(kernel for kernel in DEEP.kernels if kernel.refusal(body) is None)
    choice = Tiler(device, device.machine).best(DEEP, kernel, body, None)
    assert choice.program is None
    assert choice.why == "needs 256 bytes of accumulators, has 128"


def test_only_a_systolic_array_has_accumulators_apart(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    block = '[accumulators]\ncapacity_kib = 4096\nsource = "mine"\n\n[memory.dram]'
    path.write_text((FOLDER / "gpu.toml").read_text().replace("[memory.dram]", block))
    with pytest.raises(DatasheetError, match="accumulators: only a systolic array has"):
        load_datasheet(path)
