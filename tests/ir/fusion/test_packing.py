"""The heaviest disjoint sets, against trying all of them."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.fusion import packing
from emu.ir.fusion.packing import heaviest

SETS = st.lists(
    st.tuples(st.frozensets(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 20)),
    max_size=7,
)


def disjoint(sets: list[frozenset[int]]) -> bool:
    return sum(map(len, sets)) == len(frozenset[int]().union(*sets))


@settings(deadline=None, max_examples=80)
@given(SETS)
def test_no_other_choice_of_disjoint_sets_is_heavier(
    drawn: list[tuple[frozenset[int], int]],
) -> None:
    sets, weights = [s for s, _ in drawn], [w for _, w in drawn]
    chosen = heaviest(sets, weights)
    assert disjoint([sets[i] for i in chosen])
    every = (c for n in range(len(sets) + 1) for c in combinations(range(len(sets)), n))
    free = (sum(weights[i] for i in c) for c in every if disjoint([sets[i] for i in c]))
    assert sum(weights[i] for i in chosen) == max(free)


def test_two_that_are_lighter_win_together() -> None:
    sets = [frozenset((1, 2, 3)), frozenset((0, 1)), frozenset((2, 3))]
    assert heaviest(sets, [10, 6, 5]) == (1, 2)


def test_too_many_states_leave_a_valid_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_STATES", 1)
    sets = [frozenset((i, i + 1)) for i in range(6)]
    assert disjoint([sets[i] for i in heaviest(sets, [3, 5, 3, 5, 3, 5])])
