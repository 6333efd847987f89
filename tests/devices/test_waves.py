"""The wave model of the gpu, by hand."""

from dataclasses import replace
from fractions import Fraction

from emu.devices.datasheet import load_datasheet
from emu.devices.gpu import GpuDevice
from emu.devices.tile_cost import Shares
from emu.kernels.tiling import Tiling
from tests.devices.programs import add_body, matmul_body, program_of

GPU = GpuDevice(load_datasheet("gpu"))
LATENCY = 391_000  # ps from the first request to the first byte


def shares_of(cores: int = 0) -> dict[str, int]:
    program = program_of(matmul_body(1024, 1024, 1024), Tiling((128, 128), 16, cores=cores))
    settled, _ = GPU.duration(program, Shares())
    return {cause: ps for (_, cause), ps in settled.shares}


def test_a_product_bound_by_arithmetic_takes_the_rounds_of_its_busiest_core() -> None:
    program = program_of(matmul_body(1024, 1024, 1024), Tiling((128, 128), 16, cores=0))

    settled, cores = GPU.duration(program, Shares())

    # 64 tiles on 108 cores: one round of 2 * 128 * 128 * 1024 flops at 128 a cycle, 1410 MHz
    tile = Fraction(2 * 128 * 128 * 1024, 128) / Fraction(1410, 10**6)
    assert GPU.waves(program, Shares()).tiles == 64
    assert cores == 64
    assert settled.ps == -(-(tile + LATENCY).numerator // (tile + LATENCY).denominator)


def test_its_time_is_useful_on_the_cores_that_have_tiles_and_idle_on_the_rest() -> None:
    shares = shares_of()

    compute = shares["useful"] + shares["idle"]
    assert set(shares) == {"useful", "idle", "wait"}
    assert abs(shares["useful"] - Fraction(64, 108) * compute) < 2
    assert shares["wait"] in (LATENCY, LATENCY + 1)  # the last cause takes the rounding


def test_a_sum_bound_by_memory_takes_its_bytes_at_the_rate_of_the_memory() -> None:
    program = program_of(add_body(16384, 1024), Tiling((4, 1024), cores=0, threads=1024))

    settled, _ = GPU.duration(program, Shares())

    size = 3 * 16384 * 1024 * 4
    assert settled.ps >= size * 1000 // 1555
    assert {cause for (_, cause), _ in settled.shares} == {"intermediate", "wait"}


def test_narrow_loads_keep_too_few_bytes_in_flight() -> None:
    tiling = Tiling((1, 32), cores=0, threads=32, depth=1)
    wide = program_of(add_body(16384, 1024), replace(tiling, load_width_bytes=16))
    narrow = program_of(add_body(16384, 1024), replace(tiling, load_width_bytes=4))

    assert GPU.price(narrow) > GPU.price(wide)


def test_blocks_of_tiles_cover_what_fits_the_shared_cache() -> None:
    small = program_of(matmul_body(1024, 1024, 1024), Tiling((128, 128), 16, cores=0))
    large = program_of(matmul_body(16384, 16384, 4096), Tiling((128, 128), 16, cores=0))

    assert dict(GPU.residency(small).block) == {0: 8, 1: 8}
    block = dict(GPU.residency(large).block)
    rows, columns = block[0] * 128, block[1] * 128
    assert (
        (rows + columns) * 4096 * 4
        <= 40 * 2**20
        < (2 * min(rows, columns) + max(rows, columns)) * 4096 * 4
    )
