"""On an ideal memory one layer takes exactly the cycles of its array model."""

from dataclasses import replace

import pytest

from emu.devices.cores import CoreDevice
from emu.devices.datasheet import load_datasheet
from emu.devices.tile_cost import Shares
from emu.kernels.tiling import Tiling
from tests.devices.programs import matmul_body, program_of


def ideal(array_model: str) -> CoreDevice:
    """The systolic device with a memory so fast that no transfer takes a picosecond more than 1."""
    sheet = load_datasheet("systolic")
    dram = replace(sheet.memory.dram, bandwidth_gb_s=1e12, latency_ns=1e-6)
    onchip = replace(sheet.memory.onchip, bytes_per_cycle_per_core=1e12)
    return CoreDevice(
        replace(sheet, memory=replace(sheet.memory, dram=dram, onchip=onchip)), array_model
    )


@pytest.mark.parametrize("array_model", ["scalesim-ws", "scalesim-os", "scalesim-is", "onnxim-ws"])
@pytest.mark.parametrize("tile", [(512, 512, 0), (128, 128, 0), (128, 256, 128)])
def test_a_product_takes_the_cycles_of_its_model_however_it_is_tiled(
    array_model: str, tile: tuple[int, int, int]
) -> None:
    device = ideal(array_model)
    program = program_of(matmul_body(512, 512, 512), Tiling(tile[:2], tile[2], (1, 0)))

    cycles = device.clockwork(program, Shares()).cost.array_cycles
    transfers = 200  # each load and store is rounded up to a picosecond

    assert 0 <= device.price(program) - cycles * 1000 <= transfers
