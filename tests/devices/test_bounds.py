"""A bound on the price of a tile program never lies above it, so nothing faster is left untimed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.device import Device
from emu.devices.make import make_device
from emu.kernels.build import build
from emu.kernels.libraries import LIBRARIES
from tests.bodies import BODIES
from tests.tiles import tilings

CHIPS = [make_device(name, "native") for name in ("gpu", "systolic", "npu")]


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_bound_lies_above_the_price(chip: Device, data: st.DataObject) -> None:
    body = BODIES[data.draw(st.sampled_from(sorted(BODIES)))]()
    tiling = data.draw(tilings(body))
    program = build(body, replace(tiling, cores=0) if chip.machine.grid else tiling, "any")

    assert chip.bound_ps(program) <= chip.least_ps(program) <= chip.price(program)


def test_the_close_bound_of_a_gpu_knows_how_few_requests_small_tiles_have_in_flight() -> None:
    chip = CHIPS[0]
    body = BODIES["matmul"]()
    kernel = LIBRARIES["reference"].kernels[1]
    ((_, program),) = list(LIBRARIES["reference"].programs(kernel, body, chip.machine))[:1]

    assert chip.bound_ps(program) < chip.least_ps(program) <= chip.price(program)
