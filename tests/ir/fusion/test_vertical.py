"""Vertical fusion: golden decisions of small graphs, and what holds for every graph."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.errors import UnsupportedOp
from emu.ir.fusion import decide
from emu.ir.graph import Graph
from emu.ir.group import Fused
from emu.ir.ops import OPS, Fusion
from emu.ir.traffic import boundary_bytes
from tests.ir.fusion.graph_text import graph_of, groups_of, numbered, report

Golden = Callable[[str], None]

RESIDUAL = """
a = Conv x w1
b = Relu a
c = Conv b w2
d = Conv x w3
s = Add c d
y = Relu s
p = GlobalAveragePool y
f = Flatten p
g = Gemm f w4
"""
LAYER_NORM = """
m = MatMul x w1
a = Add m x
mean = ReduceMean a
c = Sub a mean
sq = Pow c 2
var = ReduceMean sq
e = Add var 1e-5
s = Sqrt e
d = Div c s
k = Mul d w2
y = Add k w3
"""
ATTENTION = """
q = MatMul x wq
qr = Reshape q wshape
k = MatMul x wk
kt = Transpose k
v = MatMul x wv
s = MatMul qr kt
d = Div s 8
p = Softmax d
o = MatMul p v
t = Transpose o
"""


def vertical(text: str, *outputs: str) -> list[str]:
    return groups_of(decide(graph_of(text, outputs), "vertical"))


def refused(text: str, *outputs: str) -> dict[str, str]:
    decisions = decide(graph_of(text, outputs), "vertical").decisions
    return {d.nodes[0]: d.code for d in decisions if not d.ok}


def test_a_residual_block_and_its_tail(golden: Golden) -> None:
    golden(report(decide(graph_of(RESIDUAL), "vertical")))


def test_a_spelled_out_layer_norm_has_four_groups_and_a_matmul(golden: Golden) -> None:
    golden(report(decide(graph_of(LAYER_NORM), "vertical")))


def test_attention_keeps_its_softmax_apart(golden: Golden) -> None:
    golden(report(decide(graph_of(ATTENTION), "vertical")))


def test_a_diamond_of_simple_nodes_joins_its_anchor_whole() -> None:
    text = "a = MatMul x w\nb = Div a 1.41\nc = Erf b\nd = Mul a c\ne = Mul d 0.5"
    assert vertical(text) == ["a+b+c+d+e"]


def test_the_residual_joins_the_anchor_that_is_computed_last() -> None:
    assert vertical("a = Conv x w1\nb = Conv x w2\ns = Add a b") == ["a", "b+s"]
    assert refused("a = Conv x w1\nb = Conv x w2\ns = Add a b") == {"a": "second-anchor"}


def test_an_elementwise_producer_enters_a_reduction() -> None:
    assert vertical("a = Mul x x\nr = ReduceMean a") == ["a+r"]


def test_a_transpose_does_not_enter_a_reduction() -> None:
    text = "a = Relu x\nt = Transpose a\nr = ReduceMean t"
    assert vertical(text) == ["a+t", "r"]
    assert refused(text) == {"t": "injective-into-reduction"}


def test_nothing_enters_an_anchor_from_above_or_from_the_side() -> None:
    text = "a = Relu x\nb = Conv a w\nc = Relu z\ns = Add b c"
    assert vertical(text) == ["a", "c", "b+s"]
    assert refused(text) == {"a": "producer-into-anchor", "c": "producer-into-anchor"}


def test_a_reduction_fuses_with_nothing_after_it() -> None:
    text = "r = ReduceMean x\na = Relu r"
    assert vertical(text) == ["r", "a"]
    assert refused(text) == {"r": "reduction-forward"}


def test_an_anchor_does_not_end_in_a_reduction() -> None:
    text = "a = Conv x w\nb = Relu a\nr = MaxPool b"
    assert vertical(text) == ["a+b", "r"]
    assert refused(text) == {"b": "anchor-into-reduction"}


def test_a_value_that_an_anchor_and_an_addition_read_stays_a_boundary() -> None:
    text = "a = Conv x w1\nb = Conv a w2\ns = Add a b"
    assert vertical(text) == ["a", "b+s"]
    assert refused(text) == {"a": "two-readers"}


def test_an_output_of_the_model_stays_a_boundary() -> None:
    text = "a = Conv x w\nb = Relu a\nc = Tanh b"
    assert vertical(text, "b", "c") == ["a+b", "c"]
    assert refused(text, "b", "c") == {"b": "model-output"}
    assert refused("a = Relu x\nb = Tanh a", "a", "b") == {"a": "model-output"}


def test_an_opaque_op_is_a_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPS, "Wall", replace(OPS["Relu"], name="Wall", fusion=Fusion.OPAQUE))
    text = "a = Conv x w\nb = Wall a\nc = Relu b\nd = Wall c"
    assert vertical(text) == ["a", "b", "c", "d"]
    assert set(refused(text).values()) == {"opaque"}


def test_an_op_without_a_rule_is_named_with_its_node() -> None:
    with pytest.raises(UnsupportedOp, match="node 'a': op 'Nonsense'"):
        decide(graph_of("a = Nonsense x"), "vertical")


OP_NAMES = ("Relu", "Add", "Transpose", "ReduceMean", "Softmax", "Conv", "MatMul")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    ops: list[tuple[str, tuple[int, ...]]] = []
    for i in range(draw(st.integers(1, 24))):
        near = st.integers(max(-1, i - 5), i - 1)
        ops.append(
            (draw(st.sampled_from(OP_NAMES)), tuple(draw(st.lists(near, min_size=1, max_size=2))))
        )
    return numbered(ops)


def edges(fused: Fused) -> list[tuple[int, int]]:
    """From which group to which group a value goes, by position."""
    maker = {value: i for i, group in enumerate(fused.groups) for value in group.outputs}
    return [(maker[v], i) for i, g in enumerate(fused.groups) for v in g.inputs if v in maker]


@settings(deadline=None, max_examples=80)
@given(graphs())
def test_groups_part_the_nodes_and_run_in_their_order(graph: Graph) -> None:
    fused = decide(graph, "vertical")
    assert sorted(n for g in fused.groups for n in g.nodes) == sorted(n.id for n in graph.nodes)
    assert all(a < b for a, b in edges(fused))


@settings(deadline=None, max_examples=80)
@given(graphs())
def test_a_group_has_one_anchor_or_reduction_and_one_exit(graph: Graph) -> None:
    for group in decide(graph, "vertical").groups:
        classes = [OPS[graph.by_id[n].op].fusion for n in group.nodes]
        heavy = [i for i, c in enumerate(classes) if c >= Fusion.REDUCTION]
        assert len(heavy) <= 1
        assert set(group.outputs) <= set(graph.by_id[group.nodes[-1]].outputs)
        if heavy and classes[heavy[0]] == Fusion.ANCHOR:
            assert heavy == [0]


@settings(deadline=None, max_examples=80)
@given(graphs())
def test_an_edge_is_refused_at_most_once_and_never_inside_a_group(graph: Graph) -> None:
    fused = decide(graph, "vertical")
    owner = {n: g.name for g in fused.groups for n in g.nodes}
    refusals = [d for d in fused.decisions if not d.ok]
    assert len({d.nodes[0] for d in refusals}) == len(refusals)
    assert all(owner[d.nodes[0]] != owner[d.nodes[-1]] for d in refusals)
    assert all(owner[d.nodes[0]] == owner[d.nodes[-1]] for d in fused.decisions if d.ok)


@settings(deadline=None, max_examples=80)
@given(graphs())
def test_accepted_decisions_account_for_every_write_that_is_saved(graph: Graph) -> None:
    fused = decide(graph, "vertical")
    saved = sum(d.numbers["write_bytes"] for d in fused.decisions if d.ok)
    before, after = boundary_bytes(decide(graph, "none")), boundary_bytes(fused)
    assert saved == before.activations_written - after.activations_written


def test_forty_thousand_nodes_with_long_skips_make_one_group() -> None:
    half = 20_000
    chain = [("Relu", (i - 1,)) for i in range(half)]
    skips = [("Add", (half + i - 1, half - 1 - i)) for i in range(half)]
    graph = numbered([*chain, *skips])
    fused = decide(graph, "vertical")
    assert len(fused.groups) == 1
