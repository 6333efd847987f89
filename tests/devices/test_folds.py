"""Weights are shifted into an array behind the rows of the fold before, where there are any."""

from fractions import Fraction

import pytest

from emu.devices.arrays import NATIVE
from emu.devices.datasheet import load_datasheet
from emu.devices.folds import Folds
from emu.devices.rates import Rates
from emu.devices.tile_cost import Shares, TileCost
from emu.devices.tile_shapes import Tile
from emu.devices.timeline import OPEN, Clockwork
from emu.ir.body import Body
from emu.kernels.tiling import Tiling
from tests.devices.programs import matmul_body, program_of
from tests.devices.test_ideal import ideal


def clockwork(body: Body, tiling: Tiling, array_model: str = NATIVE) -> Clockwork:
    rates = Rates(load_datasheet("systolic"))
    return Clockwork(TileCost(program_of(body, tiling), rates, Shares(), array_model))


def test_a_fold_takes_the_longer_of_its_stream_and_the_next_shift() -> None:
    few = Folds(1, 64, 300, 200, 128, 128, Fraction(1))
    assert few.count == 3 * 2
    assert few.shift == 128
    assert (few.lead, few.last, few.held) == (5 * 128, 64, 5 * 128 + 64)
    many = Folds(1, 500, 300, 200, 128, 128, Fraction(1))
    assert (many.lead, many.last, many.held) == (5 * 500, 500, 6 * 500)


def test_a_dtype_at_half_rate_shifts_and_streams_at_half_speed() -> None:
    half = Folds(2, 64, 128, 128, 128, 128, Fraction(2))
    assert (half.count, half.shift, half.held) == (2, 256, 2 * (128 + 64))


def test_a_product_of_nothing_takes_no_time() -> None:
    nothing = Folds(1, 64, 128, 0, 128, 128, Fraction(1))
    assert (nothing.count, nothing.shift, nothing.lead, nothing.held) == (0, 0, 0, 0)


def test_the_first_shift_of_an_array_without_work_is_exposed() -> None:
    """Load both operands, shift 128 rows of weights in, stream 64, drain, store."""
    work = clockwork(matmul_body(64, 128, 128), Tiling((64, 128)))
    load = [-(-4 * size * 1000 // 300) for size in (64 * 128, 128 * 128)]
    store = load[0]
    cycles = 128 + 64 + (128 + 128 - 2)

    passage = work.passage((0,) * (OPEN + 3))

    assert passage.end.ps == sum(load) + 200_000 + cycles * 1000 + store
    charged = work.charges(passage.end.path, Shares())
    assert sum(ps for (_, c), ps in charged.items() if c == "fill_drain") == (128 + 254) * 1000
    assert work.busiest_ps <= passage.end.ps


@pytest.mark.parametrize("rows", [32, 96, 128, 200, 512])
@pytest.mark.parametrize("columns", [512, 128])
def test_folds_of_many_tiles_follow_each_other_as_those_of_one(rows: int, columns: int) -> None:
    """On an ideal memory: a shift, three folds as long as stream or shift, a stream, a drain."""
    program = program_of(matmul_body(rows, 512, 128), Tiling((rows, columns), depth=4))
    cycles = 128 + 3 * max(rows, 128) + rows + 254
    transfers = 20  # each load and store is rounded up to a picosecond
    assert 0 <= ideal(NATIVE).price(program) - cycles * 1000 <= transfers


def test_a_named_array_model_prices_the_shift_itself() -> None:
    work = clockwork(matmul_body(), Tiling((256, 256)), "onnxim-ws")
    parts = work.cost.course.parts
    assert any(isinstance(part.shape, Tile) for part in parts)
    assert all(work.cost.preload(place) is None for place in range(len(parts)))
