"""Versions of buffers take whole banks of a unified buffer, so that no two engines meet in one."""

from dataclasses import replace
from pathlib import Path

import pytest

from emu.devices.cores import CoreDevice
from emu.devices.datasheet import FOLDER, load_datasheet
from emu.ir.errors import DatasheetError
from emu.ir.regions import footprint_bytes, taken_bytes
from emu.kernels.libraries import LIBRARIES
from emu.kernels.tiling import Tiling
from emu.tiles import Tiler
from tests.devices.programs import add_body, matmul_body, program_of

KIB = 1024
DEEP = LIBRARIES["deep"]


def chip(bank_kib: float, capacity_kib: float = 24576) -> CoreDevice:
    sheet = load_datasheet("systolic")
    assert sheet.unified_buffer is not None
    onchip = replace(sheet.memory.onchip, capacity_kib=capacity_kib)
    banked = replace(sheet.unified_buffer, bank_kib=bank_kib)
    return CoreDevice(
        replace(sheet, memory=replace(sheet.memory, onchip=onchip), unified_buffer=banked)
    )


def test_every_version_takes_whole_banks() -> None:
    """Three buffers of 40 KiB, two versions of each: 40 KiB are two banks of 32."""
    program = program_of(add_body(1024, 256), Tiling((40, 256), depth=2))
    assert footprint_bytes(program) == 6 * 40 * KIB
    assert taken_bytes(program, chip(8).machine) == 6 * 40 * KIB
    assert taken_bytes(program, chip(32).machine) == 6 * 64 * KIB
    assert chip(32, capacity_kib=6 * 64).fits(program)
    assert not chip(32, capacity_kib=6 * 64 - 1).fits(program)
    assert chip(32, capacity_kib=6 * 64 - 1).shortage(program) == (
        "needs 393,216 bytes on chip in whole banks, has 392,192"
    )


def test_wider_banks_never_make_a_product_faster() -> None:
    body, prices = matmul_body(2048, 2048, 2048), list[int]()
    kernel = next(kernel for kernel in DEEP.kernels if kernel.refusal(body) is None)
    for bank_kib in (1, 32, 256, 1024):
        device = chip(bank_kib, capacity_kib=4096)
        choice = Tiler(device, device.machine).best(DEEP, kernel, body, None)
        assert choice.program is not None
        assert taken_bytes(choice.program, device.machine) <= 4096 * KIB
        prices.append(choice.ps)
    assert prices == sorted(prices)
    assert prices[0] < prices[-1]


def test_only_a_systolic_array_has_a_unified_buffer(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = (FOLDER / "systolic.toml").read_text()
    start, end = text.index("[unified_buffer]"), text.index("[link]")
    path.write_text(text[:start] + text[end:])
    with pytest.raises(DatasheetError, match="unified_buffer: is missing: a systolic array"):
        load_datasheet(path)
    gpu = (FOLDER / "gpu.toml").read_text()
    path.write_text(gpu.replace("[link]", text[start:end] + "[link]"))
    with pytest.raises(DatasheetError, match="unified_buffer: only a systolic array has one"):
        load_datasheet(path)


def test_a_bank_is_no_larger_than_the_memory_that_it_is_a_part_of() -> None:
    with pytest.raises(DatasheetError, match="bank_kib: 99999 is over memory"):
        load_datasheet("systolic", (("unified_buffer.bank_kib", 99_999),))
