"""What an array reads comes through the port of its core; windows are expanded on the way."""

from dataclasses import replace

import pytest

from emu.devices.arrays import NATIVE
from emu.devices.datasheet import load_datasheet
from emu.devices.rates import Rates
from emu.devices.tile_cost import Shares, TileCost
from emu.devices.timeline import OPEN, Clockwork
from emu.ir.body import Body
from emu.ir.tile import Compute
from emu.kernels.tiling import Tiling
from tests.devices.programs import conv_body, matmul_body, program_of


def clockwork(body: Body, tiling: Tiling, port: float, array_model: str = NATIVE) -> Clockwork:
    """On the systolic device, 128 x 128, with a port of so many bytes a cycle of 1000 ps."""
    sheet = load_datasheet("systolic")
    onchip = replace(sheet.memory.onchip, bytes_per_cycle_per_core=port)
    rates = Rates(replace(sheet, memory=replace(sheet.memory, onchip=onchip)))
    return Clockwork(TileCost(program_of(body, tiling), rates, Shares(), array_model))


def product_ps(work: Clockwork) -> tuple[int, dict[str, int]]:
    """For how long the first tile of the product holds the array, and why."""
    place = next(
        place
        for place, part in enumerate(work.cost.course.parts)
        for statement in (work.program.statements[part.number].statement,)
        if isinstance(statement, Compute) and statement.kind == "matrix"
    )
    busy = work.kind(place).busy.settle()
    return busy.ps, {cause: ps for (_, cause), ps in busy.shares}


def test_rows_stream_as_fast_as_a_port_that_is_as_wide_as_the_array() -> None:
    body, tiling = matmul_body(512, 256, 256), Tiling((512, 256))
    wide, causes = product_ps(clockwork(body, tiling, 512))
    assert wide == 4 * 512 * 1000
    assert "slower_path" not in causes


@pytest.mark.parametrize("port", [256, 64, 16])
def test_a_narrow_port_reads_the_data_once_for_each_block_of_columns(port: int) -> None:
    """[512, 256] of f32, for two blocks of 128 columns."""
    work = clockwork(matmul_body(512, 256, 256), Tiling((512, 256)), port)
    assert product_ps(work) == (found := 2 * 512 * 256 * 4 * 1000 // port, {"slower_path": found})


def test_windows_are_read_once_and_expanded_on_the_way_into_the_array() -> None:
    """A 3 x 3 convolution of 64 channels of 56 x 56: the image is read, not its nine windows."""
    work = clockwork(conv_body(), Tiling((1, 64, 56, 56)), 4)
    image = 64 * 56 * 56 * 4
    assert product_ps(work)[0] == image // 4 * 1000
    rows, depth = 56 * 56, 64 * 9
    assert product_ps(clockwork(conv_body(), Tiling((1, 64, 56, 56)), 512))[0] == (
        -(-depth // 128) * rows * 1000
    )


def test_a_wider_port_is_never_slower() -> None:
    ends: list[int] = []
    for port in (8, 64, 511, 512, 8192):
        work = clockwork(matmul_body(300, 500, 700), Tiling((100, 250)), port)
        passage = work.passage((0,) * (OPEN + 1 + len(work.inputs)))
        assert sum(work.charges(passage.end.path, Shares()).values()) == passage.end.ps
        ends.append(passage.end.ps)
    assert ends == sorted(ends, reverse=True)
    assert ends[0] > ends[-1]


def test_a_named_array_model_reads_through_no_port() -> None:
    tiling = Tiling((512, 256))
    narrow, wide = (
        clockwork(matmul_body(512, 256, 256), tiling, port, "scalesim-ws") for port in (1, 8192)
    )
    assert product_ps(narrow)[0] == product_ps(wide)[0]
