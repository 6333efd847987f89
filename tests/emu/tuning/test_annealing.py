"""The walk: never worse than its start, the same everywhere, and longer is never worse."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.kernels.tile_space import pick
from emu.tuning.annealing import Annealed, anneal

FLOOR = 37


def valley(point: int) -> int:
    """A price with a hill between two valleys, the lower one at FLOOR."""
    return 1000 + abs(point - FLOOR) * 10 + (200 if 45 < point < 60 else 0)


def step(point: int, random: Random) -> int:
    return point + 1 - 2 * pick(random, 2)


def walk(trials: int, seed: int = 1, start: int = 70) -> Annealed[int]:
    """A walk that prices each point once."""
    seen = {start}

    def price(point: int) -> int | None:
        if point in seen or not 0 <= point < 100:
            return None
        seen.add(point)
        return valley(point)

    return anneal(start, valley(start), step, price, trials, seed)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**64 - 1), shorter=st.integers(0, 40), more=st.integers(0, 40))
def test_a_longer_walk_is_never_worse_and_none_is_worse_than_its_start(
    seed: int, shorter: int, more: int
) -> None:
    first, second = walk(shorter, seed), walk(shorter + more, seed)

    assert second.price <= first.price <= valley(70)
    assert first.price == valley(first.point)
    assert first.trials <= shorter


def test_equal_seeds_walk_equally_and_no_trials_go_nowhere() -> None:
    assert walk(30) == walk(30)
    assert walk(0) == Annealed(70, valley(70), 0)


def test_a_walk_ends_when_all_that_it_can_reach_was_priced() -> None:
    found = walk(10_000)

    assert found.trials <= 99
    assert walk(20_000) == found


def test_a_walk_climbs_a_low_hill_and_is_the_same_on_every_machine() -> None:
    found = anneal(70, low_hill(70), lambda p, r: p + pick(r, 9) - 4, low_hill, trials=200, seed=7)

    assert (found.point, found.price, found.trials) == (FLOOR, 1000, 200)


def low_hill(point: int) -> int:
    """A slope down to FLOOR with a hill on the way."""
    return 1000 + abs(point - FLOOR) + (20 if 45 < point < 52 else 0)
