"""The tiles that are chosen are the fastest of the menu, whatever bounds leave untimed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.make import make_device
from emu.ir.body import Body
from emu.kernels.libraries import GENERATOR, LIBRARIES
from emu.kernels.library import Kernel, Library
from emu.tiles import Tiler
from tests.bodies import BODIES
from tests.tiles import Sketch


def padded_conv() -> Body:
    """A conv whose first tiles are clipped at the edge, so that the first core moves least."""
    s = Sketch()
    x, w = s.input(1, 16, 56, 56), s.weight(32, 16, 5, 5)
    s.op("Relu", s.op("Conv", x, w, strides=(1, 1), pads=(2, 2, 2, 2), dilations=(1, 1), group=1))
    return s.body()


def tall_product() -> Body:
    s = Sketch()
    s.op("Relu", s.op("MatMul", s.input(1000, 300), s.weight(300, 200)))
    return s.body()


CASES = {"padded_conv": padded_conv, "tall_product": tall_product, **BODIES}
TRIED: tuple[tuple[Library, Kernel], ...] = tuple(
    (library, kernel) for library in (LIBRARIES["vendor"], GENERATOR) for kernel in library.kernels
)


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(list(CASES)),
    bandwidth=st.sampled_from((20.0, 100.0, 800.0)),
    cores=st.sampled_from((1, 4, 12)),
)
def test_no_bound_leaves_the_fastest_tiles_untimed(
    device: str, name: str, bandwidth: float, cores: int
) -> None:
    facts = (("memory.dram.bandwidth_gb_s", bandwidth), ("compute.cores", cores))
    chip, body = make_device(device, changes=facts), CASES[name]()
    for library, kernel in TRIED:
        if kernel.refusal(body) is not None or chip.refusal(body, library.teaches) is not None:
            continue
        found = Tiler(chip, chip.machine).best(library, kernel, body, None)
        home = library.home(kernel)
        programs = [p for _, p in home.programs(kernel, body, chip.machine) if chip.fits(p)]
        assert all(chip.bound_ps(p) <= chip.least_ps(p) <= chip.price(p) for p in programs)
        assert found.ps == min(map(chip.price, programs), default=0)
        quick = Tiler(chip, chip.machine, "any").best(library, kernel, body, None)
        assert quick.program == next(iter(programs), None)
        assert quick.ps >= found.ps
