"""Chips whose units are the same work out once what these take; no other chip sees it."""

import pytest

from emu.devices.arrays import NATIVE
from emu.devices.device import Device
from emu.devices.make import make_device
from emu.devices.tile_cost import NO_SHARES, TileCost, unit_costs
from emu.kernels.tiling import Tiling
from tests.devices.programs import matmul_body, program_of

PROGRAM = program_of(matmul_body(256, 256, 256), Tiling((64, 64), 64))
FACTS = (
    "memory.dram.bandwidth_gb_s",
    "compute.clock_mhz",
    "memory.onchip.bytes_per_cycle_per_core",
)


def cost(chip: Device) -> TileCost:
    return TileCost(PROGRAM, chip.rates, NO_SHARES, NATIVE)


@pytest.mark.parametrize("device", ["systolic", "npu"])
def test_a_fact_of_the_memory_leaves_what_units_take_and_one_of_the_core_does_not(
    device: str,
) -> None:
    known = cost(make_device(device)).on_units
    shared = [cost(make_device(device, changes=((key, 77),))).on_units is known for key in FACTS]
    assert shared == [True, False, False]


@pytest.mark.parametrize("device", ["systolic", "npu"])
@pytest.mark.parametrize("key", FACTS)
def test_a_price_does_not_depend_on_the_chips_that_were_asked_before(device: str, key: str) -> None:
    make_device(device).price(PROGRAM)
    after = make_device(device, changes=((key, 78),)).price(PROGRAM)
    unit_costs.cache_clear()
    fresh = type(make_device(device))(make_device(device, changes=((key, 78),)).sheet)
    assert fresh.price(PROGRAM) == after != make_device(device).price(PROGRAM)
