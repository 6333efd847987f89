"""Every decider in every scope: groups are legal, run in their order, and compute the same."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings

from emu.ir.fusion import DECIDERS, SCOPES, decide, refusal
from emu.ir.fusion.deciders.priority import partition_of
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.space import Space
from emu.ir.graph import Graph
from emu.ir.group import Decision, Fused
from emu.ir.interpret import interpret, run_node
from emu.ir.types import Array
from tests.ir.fusion.graph_text import graph_of, groups_of, report
from tests.ir.fusion.priced import WHY, Bytes
from tests.ir.passes.planting import Plant, Sketch, feeds, planted

Golden = Callable[[str], None]
# search has tests of its own, and starts from what these choose.
CHOOSE = tuple(name for name in DECIDERS if name != "search")
PAIRS = [(s, d) for s in SCOPES for d in CHOOSE if not refusal(s, d)]


def conv(sketch: Sketch, x: str) -> str:
    return sketch.add("Conv", x, sketch.weight(4, 4, 1, 1))


def conv_relu(sketch: Sketch, x: str) -> str:
    """What the pattern table has."""
    return sketch.add("Relu", conv(sketch, x))


def spelled_gelu(sketch: Sketch, x: str) -> str:
    """A diamond after an anchor: vertical in any spelling, and in this one a pattern too."""
    y = conv(sketch, x)
    root, one, half = (sketch.constant(np.array(n), inline=True) for n in (2**0.5, 1.0, 0.5))
    erf = sketch.add("Erf", sketch.add("Div", y, root))
    return sketch.add("Mul", sketch.add("Mul", y, sketch.add("Add", erf, one)), half)


def three_branches(sketch: Sketch, x: str) -> str:
    """Siblings: convs of one shape on one input, with epilogues of their own."""
    a, b = sketch.add("Tanh", conv(sketch, x)), sketch.add("Relu", conv(sketch, x))
    return sketch.add("MatMul", sketch.add("MatMul", a, b), sketch.add("Sigmoid", conv(sketch, x)))


def two_convs(sketch: Sketch, x: str) -> str:
    """A region: a chain of anchors from one value to one value."""
    return sketch.add("Add", conv(sketch, conv_relu(sketch, x)), x)


PLANTS: dict[str, Plant] = {
    "none": conv,
    "pattern": conv_relu,
    "vertical": spelled_gelu,
    "horizontal": three_branches,
    "global": two_convs,
}


def run_groups(fused: Fused, inputs: dict[str, Array]) -> dict[str, Array]:
    """The outputs of a graph whose groups see each other's outputs and nothing else."""
    graph = fused.graph
    outside = {**inputs, **{name: c.load() for name, c in graph.constants.items()}}
    for group in fused.groups:
        values = {name: outside[name] for name in group.inputs}
        for node in (graph.by_id[n] for n in group.nodes):
            results = run_node(node, [values[v] if v else None for v in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
        outside.update((name, values[name]) for name in group.outputs)
    return {name: outside[name] for name in graph.outputs}


def holds(graph: Graph, scope: str, decider: str) -> None:
    """Groups part the nodes, are legal, run in their order and compute what the graph does."""
    fused, space = decide(graph, scope, decider, Bytes(graph)), Space(graph)
    assert fused.scope == scope
    assert sorted(n for g in partition_of(fused) for n in g) == list(range(len(graph.nodes)))
    assert {space.legal(scope, group) for group in partition_of(fused)} == {""}
    inputs = feeds(graph)
    expected, found = interpret(graph, inputs), run_groups(fused, inputs)
    assert all(np.array_equal(expected[name], found[name]) for name in graph.outputs)


@pytest.mark.parametrize("decider", CHOOSE)
@pytest.mark.parametrize("plant", PLANTS)
def test_values_stay_around_what_each_scope_looks_for(plant: str, decider: str) -> None:
    @settings(deadline=None, max_examples=8)
    @given(planted(PLANTS[plant]))
    def check(graph: Graph) -> None:
        for scope in (s for s, d in PAIRS if d == decider):
            holds(graph, scope, decider)

    check()


BACK_THROUGH_SIBLINGS = """
a = Conv x w
b = Relu a
c = Relu x
d = Relu c
e = Relu x
f = Sigmoid x
g = Conv d w
h = Relu g
"""


@pytest.mark.parametrize(("scope", "decider"), PAIRS)
def test_no_siblings_are_joined_that_wait_for_each_other_through_other_siblings(
    scope: str, decider: str
) -> None:
    """Once a and g are one, b waits for c: the way from c to b goes through the end of a+g."""
    graph = graph_of(BACK_THROUGH_SIBLINGS, outputs=("a", "c", "h"))
    fused = decide(graph, scope, decider, Bytes(graph))
    owner = {node: i for i, group in enumerate(fused.groups) for node in group.nodes}
    assert owner["b"] != owner["c"] or owner["a"] != owner["g"]


@pytest.mark.parametrize(("scope", "decider"), [p for p in PAIRS if p[0] != "none"])
def test_what_a_scope_looks_for_is_found_between_strangers(scope: str, decider: str) -> None:
    sketch = Sketch()
    start = sketch.add("Softmax", sketch.input("x"))
    before = len(sketch.nodes)
    end = PLANTS[scope](sketch, start)
    plant = range(before, len(sketch.nodes))
    graph = sketch.graph(sketch.add("Softmax", end))
    groups = [g for g in partition_of(decide(graph, scope, decider, Bytes(graph))) if len(g) > 1]
    last = len(graph.nodes) - 1
    # Elementwise ends of a plant may enter the softmax after it.
    inside = [tuple(n for n in g if n != last) for g in groups]
    if scope == "horizontal":
        convs = [i for i in plant if graph.nodes[i].op == "Conv"]
        assert any(set(convs) <= set(g) for g in inside)
    else:
        assert tuple(plant) in inside


SIBLINGS = """
q = MatMul x wq
a = Transpose q
k = MatMul x wk
v = MatMul x wv
s = MatMul a k
p = Softmax s
o = MatMul p v
"""


@pytest.mark.parametrize("decider", ["first-match", "post-dominator", "greedy", "priority"])
def test_siblings_that_share_an_input_are_one_group(decider: str) -> None:
    graph = graph_of(SIBLINGS)
    assert "q+a+k+v" in groups_of(decide(graph, "horizontal", decider, Bytes(graph)))


def test_the_rules_say_why_siblings_stay_apart(golden: Golden) -> None:
    text = "a = MatMul x w1\nb = MatMul y w2\nc = Relu z\nd = Relu z\ne = Tanh d"
    golden(report(decide(graph_of(text), "horizontal", "post-dominator")))


def test_siblings_never_wait_for_each_other_in_a_circle() -> None:
    text = "a = Relu x\nb = Tanh a\nc = Relu z\nd = Tanh c\ne = Add b c\nf = Add d a"
    graph, space = graph_of(text), Space(graph_of(text))
    for scope, decider in PAIRS:
        holds_order(decide(graph, scope, decider, Bytes(graph)))
    crossed = ((0,), (1, 2), (3,), (4,), (5,))
    assert all(m.nodes != (0, 3) for m in space.moves("horizontal", crossed))


def holds_order(fused: Fused) -> None:
    made = {*fused.graph.inputs, *fused.graph.constants}
    for group in fused.groups:
        assert made.issuperset(group.inputs)
        made.update(group.outputs)


CHAIN = "a = Conv x w1\nb = Relu a\nc = Conv b w2\nd = Tanh c"


def of_code(fused: Fused, code: str) -> Decision:
    return next(d for d in fused.decisions if d.code == code)


def test_the_naive_choice_takes_a_region_that_fits_and_never_asks_what_it_costs() -> None:
    graph = graph_of(CHAIN)
    slow = Bytes(graph, slow_ps=1_000_000)
    assert groups_of(decide(graph, "global", "first-match", slow)) == ["a+b+c+d"]
    assert groups_of(decide(graph, "global", "greedy", slow)) == ["a+b+c+d"]
    fused = decide(graph, "global", "priority", slow)
    assert groups_of(fused) == ["a+b", "c+d"]
    lost = of_code(fused, "global:cost")
    assert not lost.ok
    assert lost.numbers["fused_ps"] > lost.numbers["apart_ps"] + 900_000
    assert lost.numbers["cores"] == 1


def test_a_region_that_no_kernel_holds_is_refused_with_the_reason() -> None:
    graph = graph_of(CHAIN)
    for decider in ("first-match", "priority"):
        fused = decide(graph, "global", decider, Bytes(graph, most=3))
        assert groups_of(fused) == ["a+b", "c+d"]
        assert of_code(fused, "global:no-kernel").why == WHY


def test_regions_that_gain_most_together_beat_the_one_that_gains_most_alone() -> None:
    text = "\n".join(f"{b} = Conv {a} w{b}" for a, b in zip("xabcdefg", "abcdefgh", strict=True))
    graph = graph_of(text)
    fused = decide(graph, "global", "priority", Bytes(graph))
    assert groups_of(fused) == ["a+b+c+d", "e+f+g+h"]
    assert of_code(fused, "global:cost").numbers["run_ps"] > 0
    assert of_code(fused, "global:overlap").why == (
        "other regions with some of its groups gain more together"
    )


def test_a_whole_run_that_is_slower_loses_to_the_smaller_scope() -> None:
    graph = graph_of("a = Conv x w1\nb = Relu a")

    class Odd(Bytes):
        def run(self, fused: Fused) -> int:
            return -len(fused.groups)

    fused = decide(graph, "vertical", "priority", Odd(graph))
    assert groups_of(fused) == ["a", "b"]
    lost = of_code(fused, "whole-run")
    assert lost.nodes == ("a", "b")
    assert lost.numbers == {"run_ps": -1, "best_ps": -2}


@pytest.mark.parametrize("decider", ["first-match", "greedy", "priority"])
def test_decisions_about_a_residual_block(decider: str, golden: Golden) -> None:
    text = "a = Conv x w1\nb = Relu a\nc = Conv b w2\ns = Add c x\ny = Relu s\np = Softmax y"
    graph = graph_of(text)
    golden(report(decide(graph, "global", decider, Bytes(graph))))


def test_a_union_that_something_between_needs_and_feeds_is_a_circle() -> None:
    text = "a = Relu x\nb = Tanh a\nc = Relu z\nd = Tanh c\ne = Add b c\nf = Add d a"
    grouping = Grouping(Space(graph_of(text)).structure, ((0,), (1, 2), (3,), (4,), (5,)))
    assert not grouping.acyclic((0, 3))
    assert grouping.acyclic((0, 2))
    assert grouping.acyclic((3, 4))
