"""Reductions that are dealt to cores which would be idle, by hand and by property."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.devices.datasheet import load_datasheet
from emu.devices.deals import Deal, deals, reduction, steps_of, sums_of
from emu.devices.gpu import GpuDevice
from emu.devices.terms import settle
from emu.devices.tile_cost import Shares
from emu.ir.tile import TileProgram
from emu.ir.types import TensorType
from emu.kernels.tiling import Tiling
from tests.devices.programs import add_body, matmul_body, program_of

GPU = GpuDevice(load_datasheet("gpu"))
CHIPS = ("gpu", "a100_sxm80", "h100_sxm", "t4", "mi300x", "b200")
WAYS = ("split_k", "stream_k")
LATENCY = 391_000
CLOCK = Fraction(1410, 10**6)  # cycles a ps


def product(split: str, m: int = 256, n: int = 256, k: int = 4096, step: int = 32) -> TileProgram:
    return program_of(matmul_body(m, n, k), Tiling((128, 128), step, cores=0, split=split))


def parts(deal: Deal) -> set[tuple[int, int]]:
    """Every worker with every tile that it takes steps of, step by step."""
    steps = ((tile, step) for tile in range(deal.tiles) for step in range(deal.steps))
    if deal.apart:
        return {(step // deal.each, tile) for tile, step in steps}
    return {(i // deal.each, tile) for i, (tile, _) in enumerate(steps)}


@given(st.integers(1, 9), st.integers(2, 40), st.integers(1, 39), st.booleans())
def test_who_works_on_what_is_as_if_dealt_step_by_step(
    tiles: int, steps: int, each: int, apart: bool
) -> None:
    deal = Deal(tiles, steps, min(each, steps - 1), apart)
    found = parts(deal)
    by_tile = [sum(1 for _, of in found if of == tile) for tile in range(tiles)]
    if apart:
        assert deal.stored == deal.workers == len(found)
    else:
        assert deal.workers == len({worker for worker, _ in found})
        assert deal.stored == len(found) - tiles
        assert max(by_tile) - 1 <= deal.joined <= max(by_tile)


def test_only_a_product_whose_reduction_has_steps_is_dealt() -> None:
    made = product("stream_k")
    assert reduction(made) == 2
    assert steps_of(made) == 128
    assert sums_of(made) == TensorType("f32", (128, 128))
    for whole in (product(""), product("split_k", step=0)):
        assert (reduction(whole), steps_of(whole)) == (None, 1)
    assert not program_of(add_body(), Tiling((16, 64), cores=0, split="split_k")).split
    spread = program_of(matmul_body(256, 256, 4096), Tiling((128, 128), 32, cores=4, split=WAYS[0]))
    assert not spread.split


def test_parts_of_split_k_are_summed_by_a_second_kernel() -> None:
    made = product("split_k")
    ps, cores = GPU.fastest(made)
    deal = GPU.waves(made).deal(GPU.sheet.compute.cores)

    # 4 tiles of 128 steps: 24 workers for a tile, 6 steps each but for the last.
    assert deal == Deal(4, 128, 6, True)
    assert deal is not None
    assert (deal.workers, cores) == (88, 88)
    sums = 88 * 128 * 128 * 4
    stepping = Fraction(2 * 128 * 128 * 32 * 6, 128) / CLOCK
    through = 2 * sums / GPU.rates.dram  # as any value from one kernel to the next
    start = Fraction(str(GPU.sheet.launch.start_us)) * 10**6
    assert ps == _up(LATENCY + stepping + start + LATENCY + through)


def test_workers_of_stream_k_add_up_sums_that_stay_in_the_cache() -> None:
    made = product("stream_k")
    deal = GPU.waves(made).deal(GPU.sheet.compute.cores)
    ps, cores = GPU.fastest(made)

    assert deal is not None
    assert not deal.apart
    assert cores == deal.workers
    sums = 128 * 128 * 4
    stepping = Fraction(2 * 128 * 128 * 32 * deal.each, 128) / CLOCK
    joining = max(
        2 * deal.stored * sums / GPU.rates.l2,
        (1 + deal.joined) * sums / GPU.waves(made).bytes.port,
        deal.joined * 2 * 128 * 128 / GPU.rates.vector("f32"),
    )
    assert ps == _up(LATENCY + stepping + LATENCY + joining)
    assert ps < GPU.price(product("split_k")) < GPU.price(product(""))


def _up(ps: Fraction) -> int:
    return -(-ps.numerator // ps.denominator)


def test_sums_of_parts_are_in_what_a_launch_did() -> None:
    whole, split = product(""), product("split_k")
    did = {p.split: GPU.footprint(p, Shares(), GPU.fastest(p)[1]) for p in (whole, split)}
    moved = 88 * 128 * 128 * 4
    assert did["split_k"].traffic.reload - did[""].traffic.reload == 2 * moved
    assert did["split_k"].l2_bytes - did[""].l2_bytes == 2 * moved
    assert did["split_k"].work.flops - did[""].work.flops == 88 * 128 * 128


def test_full_waves_keep_whole_tiles_and_split_k_leaves_several_waves_alone() -> None:
    """81 tiles on 13 cores that hold 2 each: 3 full waves, and one of 3 tiles."""
    chip = GpuDevice(load_datasheet("gpu", (("compute.cores", 13),)))
    sizes = {"m": 1152, "n": 1152, "k": 4096}
    whole, split, streamed = (chip.waves(product(way, **sizes)) for way in ("", *WAYS))
    assert whole.dealt(13)[:3] == (26, 4, 3)
    assert split.deal(13) is None
    assert split.best() == whole.best()
    deal = streamed.deal(13)
    assert deal is not None
    assert deal.tiles == 3
    assert streamed.best()[0] < whole.best()[0]


SHAPES = st.tuples(*(st.integers(1, 6) for _ in range(3)))


@given(st.sampled_from(CHIPS), st.sampled_from(WAYS), SHAPES, st.sampled_from((16, 64)))
def test_a_deal_is_never_slower_and_its_terms_sum_to_its_time(
    name: str, way: str, shape: tuple[int, int, int], step: int
) -> None:
    m, n, k = shape
    chip = GpuDevice(load_datasheet(name))
    sizes = {"m": 100 * m, "n": 128 * n, "k": 700 * k, "step": step}
    waves = chip.waves(product(way, **sizes))
    for cores in waves.candidates():
        assert waves.at_least(cores) <= waves.ps(cores) == settle(waves.phases(cores)).ps
        slowest = settle(waves.phases(cores, every=False))
        assert slowest.ps == waves.ps(cores)
    assert waves.best()[0] <= chip.waves(product("", **sizes)).best()[0]


@given(st.sampled_from(WAYS), SHAPES, st.integers(1, 200), st.integers(1, 50))
def test_more_cores_are_never_slower(
    way: str, shape: tuple[int, int, int], cores: int, more: int
) -> None:
    m, n, k = shape
    made = product(way, m=100 * m, n=128 * n, k=700 * k, step=64)
    few, many = (
        GpuDevice(load_datasheet("gpu", (("compute.cores", count),))).price(made)
        for count in (cores, cores + more)
    )
    assert many <= few


@pytest.mark.parametrize("way", WAYS)
def test_all_deals_have_room(way: str) -> None:
    found = list(deals(product(way), 4, 40))
    assert found
    assert all(1 <= deal.each < deal.steps and deal.workers <= 40 for deal in found)
