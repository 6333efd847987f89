"""What products of narrow numbers cost on each kind of device, by hand."""

from fractions import Fraction

import pytest

from emu.devices.datasheet import load_datasheet
from emu.devices.device import Device
from emu.devices.gpu import GpuDevice
from emu.devices.make import make_device
from emu.devices.terms import Term
from emu.devices.tile_cost import Shares, TileCost, computed_in
from emu.devices.tile_shapes import Tile
from emu.ir.body import Body
from emu.ir.tile import Compute, TileProgram
from emu.kernels.tiling import Tiling
from tests.devices.programs import program_of
from tests.tiles import Sketch

GPU = GpuDevice(load_datasheet("gpu"))
CYCLE_PS = Fraction(10**6, 1410)
LATENCY_PS = 391_000


def product(dtype: str, m: int = 1024, n: int = 1024, k: int = 1024) -> Body:
    s = Sketch()
    op = "MatMulInteger" if dtype == "i8" else "MatMul"
    s.op(op, s.input(m, k, dtype=dtype), s.weight(k, n, dtype=dtype))
    return s.body()


def computes(program: TileProgram) -> list[Compute]:
    return [p.statement for p in program.statements if isinstance(p.statement, Compute)]


def test_a_product_bound_by_the_matrix_units_of_a_gpu_takes_their_time() -> None:
    program = program_of(product("f16"), Tiling((128, 128), 32, cores=0))

    settled, cores = GPU.duration(program, Shares())

    # 64 tiles, one round: 2 * 128 * 128 * 1024 flops at 2048 a cycle, then 128 * 128 numbers are
    # rounded in lanes whose 512 flops a cycle are multiply-adds
    tile = (Fraction(2 * 128 * 128 * 1024, 2048) + Fraction(2 * 128 * 128, 512)) * CYCLE_PS
    whole = tile + LATENCY_PS
    assert cores == 64
    assert settled.ps == -(-whole.numerator // whole.denominator)


def padding_of(program: TileProgram) -> list[Term]:
    waves = GPU.waves(program)
    rounds = Fraction(-(-waves.tiles // 108))
    terms = waves.units.computed(waves.tiles, rounds, rounds)
    return [t for t in terms if t.cause == "padding" and t.amount]


@pytest.mark.parametrize(("dtype", "deep"), [("f16", 32), ("i8", 32), ("bf16", 32)])
def test_a_tile_is_padded_to_the_granule_of_the_matrix_unit(dtype: str, deep: int) -> None:
    (padding,) = padding_of(program_of(product(dtype, 20, 12, 24), Tiling((20, 12), cores=0)))
    # 16 rows, 8 columns and 32 bytes deep: 24 numbers of 2 bytes need 32, and so do 24 of 1
    assert padding.amount == 2 * (32 * 16 * deep - 20 * 12 * 24)


def test_f32_has_no_matrix_unit_on_the_gpu_and_no_granule() -> None:
    program = program_of(product("f32", 20, 12, 24), Tiling((20, 12), cores=0))
    assert padding_of(program) == []


@pytest.mark.parametrize(
    ("device", "dtype", "ratio"),
    [
        ("systolic", "bf16", 1),
        ("systolic", "i8", 2),
        ("npu", "f16", 2),
        ("npu", "bf16", 2),
        ("npu", "i8", 4),
        ("npu", "f8E4M3FN", 4),
    ],
)
def test_an_array_streams_narrow_rows_at_the_rate_of_its_datasheet(
    device: str, dtype: str, ratio: int
) -> None:
    cycles = {d: held(make_device(device), d) for d in ("f32", dtype)}
    assert cycles["f32"] == ratio * cycles[dtype]


def held(chip: Device, dtype: str) -> Fraction:
    program = program_of(product(dtype, 512, 256, 256), Tiling((512, 256), cores=1))
    cost = TileCost(program, chip.rates, Shares())
    part = next(p for p in cost.course.parts if isinstance(p.shape, Tile))
    statement = program.statements[part.number].statement
    assert isinstance(part.shape, Tile)
    assert isinstance(statement, Compute)
    unit = cost.unit(statement)
    assert unit is not None
    return cost.held(part, statement, unit, part.shape)


def test_a_product_is_computed_in_the_type_of_its_factors_and_the_rest_in_that_of_its_result() -> (
    None
):
    program = program_of(product("i8"), Tiling((64, 64), 64, cores=0))
    s = Sketch()
    s.op("Cast", s.input(4, 4), to="f16")
    rounded = program_of(s.body(), Tiling((4, 4), cores=0))
    assert [computed_in(program, c) for c in computes(program)] == ["i8"]
    assert [computed_in(rounded, c) for c in computes(rounded)] == ["f16"]


def test_a_chip_says_which_element_type_it_has_no_unit_for() -> None:
    assert "no unit of gpu computes in f8E4M3FN" in (GPU.refusal(product("f8E4M3FN")) or "")
    assert "no unit of systolic computes in f16" in (
        make_device("systolic").refusal(product("f16")) or ""
    )
    assert GPU.refusal(product("i8")) is None


def test_operations_in_few_bits_are_told_apart_for_their_energy() -> None:
    did = GPU.footprint(
        program_of(product("i8", 64, 64, 64), Tiling((64, 64), cores=0)), Shares(), 1
    )
    assert did.narrow == {"i8": did.work.flops} == {"i8": 2 * 64**3}
    plain = GPU.footprint(program_of(product("f32", 64, 64, 64), Tiling((64, 64))), Shares(), 1)
    assert plain.narrow == {}
