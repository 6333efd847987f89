"""A matrix unit that convolves images in some layouts only leaves the others to the lanes."""

from fractions import Fraction

import pytest

from emu.devices.datasheet import load_datasheet
from emu.devices.rates import Rates
from emu.devices.waves import Waves
from emu.ir.body import Body
from emu.ir.layout import ROW_MAJOR
from emu.ir.machine import Residency
from emu.ir.types import TensorType
from emu.kernels.build import build
from emu.kernels.tiling import Tiling
from tests.kernels.test_granules import laid
from tests.tiles import Sketch

GPU = Rates(load_datasheet("gpu"))


def conv(layout: str) -> Body:
    s = Sketch()
    s.op("Conv", s.input(1, 64, 8, 8, dtype="f16"), s.weight(64, 64, 1, 1, dtype="f16"))
    return laid(s.body(), layout, layout, layout)


def terms(layout: str) -> dict[str, float]:
    """Picoseconds by cause of the product in all tiles, with the lanes that round its sums."""
    program = build(conv(layout), Tiling((1, 16, 4, 8), cores=0), "conv")
    waves = Waves(program, GPU.sheet, GPU, Residency())
    found = waves.units.computed(waves.tiles, Fraction(1), Fraction(1))
    return {c: float(sum(t.ps for t in found if t.cause == c)) for c in ("useful", "slower_path")}


def product_ps() -> float:
    """64 x 64 x 64 multiply-adds at the peak of all matrix units."""
    return float(2 * 64**3 / (GPU.best_product("f16") * GPU.cores))


@pytest.mark.parametrize(
    ("op", "dtype", "shape", "layouts"),
    [
        ("Conv", "f16", (1, 64, 8, 8), ("nhwc",)),
        ("ConvInteger", "i8", (1, 64, 8, 8), ("nhwc",)),
        ("Conv", "f16", (1, 64, 8), ()),  # no image
        ("Conv", "f16", (1, 64, 1, 1), ()),  # one pixel lies alike in both
        ("Conv", "f32", (1, 64, 8, 8), ()),  # no matrix unit for it
        ("MatMul", "f16", (1, 64, 8, 8), ()),
    ],
)
def test_convolutions_of_images_need_the_layouts_of_the_matrix_unit(
    op: str, dtype: str, shape: tuple[int, ...], layouts: tuple[str, ...]
) -> None:
    assert GPU.image_layouts(op, TensorType(dtype, shape)) == layouts


@pytest.mark.parametrize("name", ["systolic", "npu"])
def test_an_array_convolves_images_in_any_layout(name: str) -> None:
    rates = Rates(load_datasheet(name))
    for layout in (ROW_MAJOR, "nhwc", "nchw16c"):
        data = TensorType("bf16", (1, 64, 8, 8), layout)
        assert rates.product_unit("Conv", data) is rates.matrix("bf16") is not None


def test_the_lanes_convolve_what_the_matrix_unit_does_not_read() -> None:
    assert GPU.product_unit("Conv", TensorType("f16", (1, 64, 8, 8), "nhwc")) is not None
    assert GPU.product_unit("Conv", TensorType("f16", (1, 64, 8, 8))) is None
    fast, slow = terms("nhwc"), terms(ROW_MAJOR)
    assert fast["useful"] == slow["useful"]
    # 512 flops a cycle on the lanes instead of 2048: three more of the time of the matrix unit.
    assert slow["slower_path"] - fast["slower_path"] == pytest.approx(3 * product_ps())
