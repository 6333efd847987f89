"""Immediate post-dominators against their definition by sets."""

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.fusion.postdominators import NOTHING, post_dominators
from emu.ir.fusion.wiring import Wiring, classes_of, wiring_of
from tests.ir.fusion.graph_text import numbered

OP_NAMES = ("Relu", "Add", "Transpose", "Softmax", "Conv")
Ops = list[tuple[str, tuple[int, ...]]]


@st.composite
def ops(draw: st.DrawFn) -> Ops:
    found: Ops = []
    for i in range(draw(st.integers(1, 30))):
        inputs = draw(st.lists(st.integers(-1, i - 1), min_size=1, max_size=3))
        found.append((draw(st.sampled_from(OP_NAMES)), tuple(inputs)))
    return found


def passed_by_all(wiring: Wiring) -> list[set[int]]:
    """Per node all nodes, itself included, that every path to the end passes."""
    found: list[set[int]] = [set() for _ in wiring.readers]
    for here in reversed(range(len(found))):
        ways = [found[r] for r in wiring.readers[here]] + [set[int]()] * wiring.ends[here]
        found[here] = {here}.union(set[int].intersection(*ways))
    return found


def reached(wiring: Wiring) -> list[set[int]]:
    """Per node all nodes after it."""
    found: list[set[int]] = [set() for _ in wiring.readers]
    for here in reversed(range(len(found))):
        found[here] = set(wiring.readers[here]).union(*(found[r] for r in wiring.readers[here]))
    return found


@settings(deadline=None, max_examples=100)
@given(ops())
def test_the_parent_is_the_first_node_that_every_path_passes(found: Ops) -> None:
    graph = numbered(found)
    wiring = wiring_of(graph)
    expected = [min(s - {i}, default=None) for i, s in enumerate(passed_by_all(wiring))]
    assert list(post_dominators(wiring, classes_of(graph)).parent) == expected


@settings(deadline=None, max_examples=100)
@given(ops())
def test_the_widest_class_is_that_of_the_nodes_between(found: Ops) -> None:
    graph = numbered(found)
    wiring, classes = wiring_of(graph), classes_of(graph)
    tree, after = post_dominators(wiring, classes), reached(wiring)
    for here, goal in enumerate(tree.parent):
        between = {i for i in after[here] if goal is None or goal in after[i]}
        assert tree.widest[here] == max((classes[i] for i in between), default=NOTHING)


def test_a_diamond_ends_where_its_sides_meet() -> None:
    graph = numbered([("Relu", (-1,)), ("Conv", (0,)), ("Relu", (0,)), ("Add", (1, 2))])
    tree = post_dominators(wiring_of(graph), classes_of(graph))
    assert tree.parent == (3, 3, 3, None)
    assert tree.widest == (4, NOTHING, NOTHING, NOTHING)
