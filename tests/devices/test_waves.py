"""The wave model of the gpu, by hand."""

from dataclasses import replace
from fractions import Fraction

import pytest

from emu.devices.datasheet import load_datasheet
from emu.devices.gpu import GpuDevice
from emu.devices.occupancy import occupancy
from emu.devices.raster import cluster, raster, step_bytes
from emu.devices.terms import settle
from emu.devices.tile_cost import Shares
from emu.ir.body import Body, BodyNode
from emu.ir.count import count
from emu.kernels.tiling import Tiling
from tests.devices.programs import add_body, matmul_body, program_of, relu_body, tensor

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
    assert GPU.waves(program).tiles == 64
    assert cores == 64
    assert settled.ps == -(-(tile + LATENCY).numerator // (tile + LATENCY).denominator)


def test_its_time_is_useful_on_the_cores_that_have_tiles_and_idle_on_the_rest() -> None:
    shares = shares_of()

    compute = shares["useful"] + shares["idle"]
    assert set(shares) == {"useful", "idle", "wait"}
    assert abs(shares["useful"] - Fraction(64, 108) * compute) < 2
    assert shares["wait"] in (LATENCY, LATENCY + 1)  # the last cause takes the rounding


def test_tiles_beyond_the_last_full_round_cost_a_round_of_their_own() -> None:
    program = program_of(matmul_body(2048, 2048, 1024), Tiling((128, 128), 16, cores=0))

    settled, cores = GPU.duration(program, Shares())

    # 256 tiles need 3 rounds on 108 cores, and as many on the 86 that are then enough
    rounds = 3 * Fraction(2 * 128 * 128 * 1024, 128) / Fraction(1410, 10**6)
    assert cores == 86
    assert settled.ps == -(-(rounds + LATENCY).numerator // (rounds + LATENCY).denominator)


def test_what_an_edge_tile_lacks_is_padding() -> None:
    program = program_of(matmul_body(200, 130, 64), Tiling((64, 64), 16, cores=0))

    settled, _ = GPU.duration(program, Shares())

    # 4 x 3 tiles of 64 x 64 x 64 multiply-adds for 200 x 130 x 64, at 108 x 128 flops a cycle
    peak = Fraction(108 * 128 * 1410, 10**6)
    ps = {cause: ps for (_, cause), ps in settled.shares}
    assert abs(ps["useful"] - 2 * 200 * 130 * 64 / peak) < 1
    assert abs(ps["padding"] - 2 * (12 * 64 * 64 - 200 * 130) * 64 / peak) < 1


def test_a_sum_bound_by_memory_takes_its_bytes_at_the_rate_of_the_memory() -> None:
    program = program_of(add_body(16384, 1024), Tiling((4, 1024), cores=0, threads=1024))

    settled, _ = GPU.duration(program, Shares())

    # 2 tiles of 1024 lanes a core keep 108 * 32 KiB in flight, more than latency x bandwidth
    moved = Fraction(3 * 16384 * 1024 * 4 * 1000, 1555)
    assert settled.ps == -(-(moved + LATENCY).numerator // (moved + LATENCY).denominator)
    assert {cause for (_, cause), _ in settled.shares} == {"intermediate", "wait"}


def test_narrow_loads_keep_too_few_bytes_in_flight() -> None:
    tiling = Tiling((1, 32), cores=0, threads=32, depth=1)
    wide = program_of(relu_body(16384, 1024), replace(tiling, load_width_bytes=16))
    narrow = program_of(relu_body(16384, 1024), replace(tiling, load_width_bytes=4))

    # 32 tiles a core with 32 lanes each: bytes in flight over the latency is the bandwidth
    held = GPU.waves(narrow).occupancy
    sustained = Fraction(108 * held * 32 * 4, LATENCY)
    assert held == 32
    assert sustained < Fraction(1555, 1000)
    assert GPU.price(narrow) >= 2 * 16384 * 1024 * 4 / sustained
    assert GPU.price(narrow) > GPU.price(wide)


def test_a_lane_asks_for_all_that_it_needs_before_it_waits() -> None:
    """A tile of 256 lanes: twice the bytes of one operand. A full core: one request a lane."""
    tiling = Tiling((1, 1024), cores=0, threads=256, depth=1, load_width_bytes=4)
    one, two = (program_of(body(64, 1024), tiling) for body in (relu_body, add_body))
    found = [GPU.waves(program).in_flight(64, 64) for program in (one, two)]
    assert found == [Fraction(64 * n * 256 * 4, LATENCY) for n in (1, 2)]

    full = program_of(add_body(4096, 1024), tiling)
    assert GPU.waves(full).occupancy == 8
    assert GPU.waves(full).in_flight(864, 108) == Fraction(108 * 2048 * 4, LATENCY)


def test_blocks_of_tiles_cover_what_fits_the_shared_cache() -> None:
    small = program_of(matmul_body(1024, 1024, 1024), Tiling((128, 128), 16, cores=0))
    assert dict(GPU.residency(small).block) == {0: 8, 1: 8}

    large = program_of(matmul_body(16384, 16384, 4096), Tiling((128, 128), 16, cores=0))
    alone = raster(large, 40 * 2**20, at_once=1).block
    rows, columns = alone[0] * 128, alone[1] * 128
    assert (
        (rows + columns) * 4096 * 4
        <= 40 * 2**20
        < (2 * min(rows, columns) + max(rows, columns)) * 4096 * 4
    )


def test_tiles_in_step_share_what_no_cache_holds_at_a_time() -> None:
    large = program_of(matmul_body(16384, 16384, 4096), Tiling((128, 128), 16, cores=0))

    # 2 tiles a core on 108 cores are 216 at once; blocks double, so 16 x 8 of them go in step.
    block = dict(GPU.residency(large).block)
    assert GPU.waves(large).occupancy == 2
    assert block == {0: 16, 1: 8}
    # Two versions of 16 columns of 16 x 128 rows, and of 16 rows of 8 x 128 columns, of 4 bytes.
    assert step_bytes(large, block) == 2 * 16 * (16 * 128 + 8 * 128) * 4
    # Every block loads its rows and columns once: 64 blocks of the 128 x 128 tiles.
    fetched = sum(count(large, tuple(block.items())).fetched.values())
    assert fetched == 128 * (16 * 128 + 8 * 128) * 4096 * 4
    # A cache that cannot hold a step of them shares less.
    assert sum(raster(large, 2**17, at_once=216).block.values()) < 24


@pytest.mark.parametrize("at_once", [1, 2, 8, 64, 512])
def test_more_tiles_in_step_never_fetch_more(at_once: int) -> None:
    large = program_of(matmul_body(4096, 8192, 16384), Tiling((128, 128), 16, cores=0))

    def fetched(tiles: int) -> int:
        block = raster(large, 10 * 2**20, at_once=tiles).block
        return sum(count(large, tuple(block.items())).fetched.values())

    assert fetched(2 * at_once) <= fetched(at_once)


def test_lanes_that_only_move_elements_are_charged_to_layout() -> None:
    square = tensor(500, 500)
    node = BodyNode("Transpose", (0,), (1,), (("perm", (1, 0)),))
    body = Body((node,), (square, square), 1, frozenset(), (1,))
    waves = GPU.waves(program_of(body, Tiling((32, 32), cores=0)))

    terms = waves.units.computed(waves.tiles, Fraction(3), Fraction(3))
    amounts = {t.cause: t.amount for t in terms}

    assert amounts["layout"] == 2 * 500 * 500
    assert amounts["padding"] == 2 * (512 * 512 - 500 * 500)
    assert amounts["useful"] == 0


def test_an_enlarged_image_is_moved_by_the_lanes_and_not_for_free() -> None:
    scales = (("mode", "nearest"), ("scales", (1.0, 1.0, 2.0, 2.0)))
    types = (tensor(1, 8, 16, 16), tensor(1, 8, 32, 32))
    body = Body((BodyNode("Resize", (0,), (1,), scales),), types, 1, frozenset(), (1,))
    waves = GPU.waves(program_of(body, Tiling((1, 8, 8, 32), cores=0)))

    terms = waves.units.computed(waves.tiles, Fraction(1), Fraction(1))
    amounts = {t.cause: t.amount for t in terms}

    assert amounts["layout"] == 2 * 8 * 32 * 32


@pytest.mark.parametrize("tile", [(16, 16), (64, 32), (128, 128)])
def test_the_duration_of_sums_is_that_of_the_terms_on_any_number_of_cores(
    tile: tuple[int, int],
) -> None:
    for body in (matmul_body(200, 130, 64), matmul_body(1, 4096, 256)):
        waves = GPU.waves(program_of(body, Tiling(tile, 16, cores=0)))
        for cores in waves.candidates():
            assert waves.ps(cores) == settle(waves.phases(cores)).ps >= waves.at_least(cores)


WARPED = ("h100_sxm", "mi300x", "max_1550")
ALONE = Tiling((64, 64), 16, cores=0, threads=32)  # one warp


@pytest.mark.parametrize(("threads", "share"), [(32, 4), (64, 2), (128, 1), (256, 1)])
def test_a_tile_of_few_warps_has_the_units_of_their_schedulers_only(
    threads: int, share: int
) -> None:
    program = program_of(matmul_body(64, 64, 1024), replace(ALONE, threads=threads))

    settled, _ = GPU.duration(program, Shares())

    # 2 * 64 * 64 * 1024 flops at 128 a cycle and 1410 MHz, on one of 108 cores with 4 schedulers
    tile = Fraction(2 * 64 * 64 * 1024, 128) / Fraction(1410, 10**6)
    assert settled.ps == -(
        -(share * tile + LATENCY).numerator // (share * tile + LATENCY).denominator
    )
    ps = {cause: ps for (_, cause), ps in settled.shares}
    assert abs(ps["useful"] - tile / 108) < 1
    assert abs(ps["idle"] - (share - Fraction(1, 108)) * tile) < 2


def test_tiles_of_one_warp_side_by_side_keep_all_schedulers_busy() -> None:
    few, many = (program_of(matmul_body(64 * n, 64 * 108, 1024), ALONE) for n in (1, 4))
    assert GPU.waves(many).occupancy >= 4
    assert GPU.price(few) == GPU.price(many)


def test_warps_are_as_wide_as_the_chip_has_them() -> None:
    product = program_of(matmul_body(64, 64, 1024), replace(ALONE, threads=128))
    assert [GpuDevice(load_datasheet(chip)).waves(product).alone for chip in WARPED] == [
        1,  # 4 warps of 32 for 4 schedulers
        2,  # 2 wavefronts of 64 for 4 units
        2,  # 4 hardware threads of 32 for 8 engines
    ]


@pytest.mark.parametrize(
    ("dims", "depth", "held"),
    [
        # 2 x (128 x 128 x 4) of 256 KiB of registers, 2 versions of 2 x 128 x 16 x 4 of 164 KiB
        ((128, 128), 2, 2),
        # 2 x (64 x 64 x 4) would let in 8; 8 versions of 2 x 64 x 16 x 4 bytes let in 2 of 164 KiB
        ((64, 64), 8, 2),
        # 2 x (64 x 64 x 4) of registers, 8 tiles of 256 threads
        ((64, 64), 2, 8),
    ],
)
def test_registers_hold_sums_and_shared_memory_holds_operands(
    dims: tuple[int, int], depth: int, held: int
) -> None:
    tiling = Tiling(dims, 16, cores=0, depth=depth)
    assert occupancy(program_of(matmul_body(1024, 1024, 1024), tiling), GPU.sheet) == held


@pytest.mark.parametrize(("width", "cycle"), [(16, 128), (4, 128), (2, 32), (1, 16)])
def test_narrow_loads_of_factors_take_an_instruction_each_and_one_more_to_shared_memory(
    width: int, cycle: int
) -> None:
    tiling = Tiling((128, 128), 16, cores=0, load_width_bytes=width)
    product = GPU.waves(program_of(matmul_body(2048, 2048, 64), tiling))

    # 32 lanes a cycle; below 4 bytes, half of the instructions store what the others loaded
    assert product.bytes.port == Fraction(cycle * 1410, 10**6)
    (received,) = (sum(term.ps for term in product.bytes.received(Fraction(2), Shares())),)
    # 2 of 256 tiles: 256 rows and columns of 64 elements, and 128 x 128 sums, of 4 bytes each
    assert received == 2 * (256 * 64 + 128 * 128) * 4 / product.bytes.port


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_wider_loads_are_never_slower(width: int) -> None:
    tiling = Tiling((64, 128), 16, cores=0, load_width_bytes=width)
    narrow, wide = (
        program_of(matmul_body(1024, 2048, 256), replace(tiling, load_width_bytes=w))
        for w in (width, 2 * width)
    )
    assert GPU.price(wide) <= GPU.price(narrow)


def test_lanes_that_keep_what_they_load_need_no_second_instruction() -> None:
    tiling = Tiling((1, 1024), cores=0, load_width_bytes=2)
    add = GPU.waves(program_of(add_body(64, 1024), tiling))
    assert add.bytes.port == Fraction(64 * 1410, 10**6)


def test_what_is_no_operand_of_a_product_lies_in_either() -> None:
    add = program_of(add_body(1024, 16384), Tiling((1, 16384), cores=0, threads=32))
    # 3 rows of 64 KiB of 164 + 256
    assert occupancy(add, GPU.sheet) == 2


def with_facts(chip: str, **figures: float) -> GpuDevice:
    changes = tuple((key.replace("__", "."), figure) for key, figure in figures.items())
    return GpuDevice(load_datasheet(chip, changes))


def test_what_tiles_of_a_cluster_share_crosses_the_cache_once() -> None:
    product = program_of(matmul_body(1024, 1024, 1024), Tiling((128, 256), 16, cores=0))
    alone = with_facts("h100_sxm", limits__cluster_tiles=1).waves(product)
    pairs = GpuDevice(load_datasheet("h100_sxm")).waves(product)

    # 8 x 4 tiles load 128 rows and 256 columns of 1024 elements each, and store all 1024 x 1024.
    stored = 4 * 1024 * 1024
    loaded = 32 * (128 + 256) * 1024 * 4 + stored
    assert alone.bytes.sizes[1:] == (loaded, loaded)
    # Two tiles below each other share their 256 columns: 16 pairs load 256 rows and 256 columns.
    assert dict(cluster(product, 2).block) == {0: 2, 1: 1}
    assert pairs.bytes.sizes[1:] == (16 * (256 + 256) * 1024 * 4 + stored, loaded)


@pytest.mark.parametrize("tiles", [1, 2, 4, 8])
def test_larger_clusters_never_load_more_and_are_never_slower(tiles: int) -> None:
    product = program_of(matmul_body(4096, 4096, 512), Tiling((64, 128), 16, cores=0))
    smaller = with_facts("h100_sxm", limits__cluster_tiles=tiles)
    larger = with_facts("h100_sxm", limits__cluster_tiles=2 * tiles)
    sizes = [chip.waves(product).bytes.sizes[1] for chip in (smaller, larger)]
    assert sizes[1] <= sizes[0]
    assert larger.price(product) <= smaller.price(product)


def test_a_product_pays_for_staging_its_operands_and_a_sum_does_not() -> None:
    product = program_of(matmul_body(256, 256, 256), Tiling((64, 64), 16, cores=0))
    without = with_facts("h100_sxm", launch__staging_us=1e-6)
    chip = GpuDevice(load_datasheet("h100_sxm"))
    assert chip.price(product) == without.price(product) + 1_500_000 - 1
    settled, _ = chip.duration(product, Shares())
    assert dict(settled.shares)[0, "fill_drain"] == 1_500_000

    sum_of_two = program_of(add_body(), Tiling((1, 256), cores=0))
    assert chip.price(sum_of_two) == without.price(sum_of_two)
