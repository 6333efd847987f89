"""Minimum cuts, compared with every way to part a small network."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.mincut import source_side

NODES = range(5)  # 0 is the source, 4 the sink
ARCS = st.dictionaries(
    st.sampled_from([(a, b) for a in NODES for b in NODES if a != b]), st.integers(1, 9)
)


def cost(arcs: dict[tuple[int, int], int], side: frozenset[int]) -> int:
    return sum(c for (a, b), c in arcs.items() if a in side and b not in side)


@settings(max_examples=150, deadline=None)
@given(ARCS)
def test_no_other_parting_is_cheaper_and_none_as_cheap_has_fewer_nodes(
    arcs: dict[tuple[int, int], int],
) -> None:
    found = source_side(arcs, 0, 4)
    sides = [frozenset((0, *inner)) for n in range(4) for inner in combinations(range(1, 4), n)]
    least = min(cost(arcs, side) for side in sides)
    assert cost(arcs, found) == least
    assert all(found <= side for side in sides if cost(arcs, side) == least)


def test_a_sink_that_cannot_be_reached_costs_nothing() -> None:
    assert source_side({("a", "b"): 3, ("c", "d"): 1}, "a", "d") == {"a", "b"}
