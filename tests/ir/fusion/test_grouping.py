"""Merging groups: a union is refused where groups would wait for each other in a circle."""

from graphlib import CycleError, TopologicalSorter

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.structure import Structure
from tests.ir.fusion.graph_text import numbered

MOST = 12


@st.composite
def wirings(draw: st.DrawFn) -> list[tuple[str, tuple[int, ...]]]:
    """Ops of a small graph, each with the nodes that it reads; many have several readers."""
    count = draw(st.integers(4, MOST))
    return [
        ("Add", (draw(st.integers(-1, i - 1)), draw(st.integers(-1, i - 1)))) for i in range(count)
    ]


def can_run(grouping: Grouping) -> bool:
    """Whether the groups have an order, found by sorting all of them."""
    try:
        TopologicalSorter({g: grouping.makers(g) for g in grouping.members}).prepare()
    except CycleError:
        return False
    return True


@settings(deadline=None)
@given(wirings(), st.data())
def test_a_union_is_acyclic_where_all_groups_can_still_run_in_some_order(
    ops: list[tuple[str, tuple[int, ...]]], data: st.DataObject
) -> None:
    structure = Structure(numbered(ops))
    partition = tuple((i,) for i in range(len(ops)))
    for _ in range(data.draw(st.integers(1, 5))):
        numbers = st.sampled_from(sorted(nodes[-1] for nodes in partition))
        pair = tuple(sorted(data.draw(st.sets(numbers, min_size=2, max_size=2))))
        before, after = Grouping(structure, partition), Grouping(structure, partition)
        after.merge(pair)
        assert before.acyclic(pair) == can_run(after)
        assert after.wide == Grouping(structure, after.partition).wide
        partition = after.partition if can_run(after) else partition
        if len(partition) < 2:
            return
