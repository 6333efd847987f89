"""Candidates for global fusion, and merging those that were chosen."""

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.fusion import decide
from emu.ir.fusion.cut import cut
from emu.ir.fusion.deciders.priority import partition_of
from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.regions import MAX_ANCHORS, Region, regions
from emu.ir.fusion.space import Move, Space
from emu.ir.graph import Graph
from emu.ir.ops import OPS, Fusion
from emu.ir.traffic import boundary_bytes
from tests.ir.fusion.graph_text import graph_of, numbered

BOTTLENECK = """
a = Conv x w1
b = Relu a
c = Conv b w2
d = Relu c
e = Conv d w3
f = Conv x w4
g = Add e f
y = Relu g
"""
ATTENTION = """
q = MatMul x wq
k = MatMul x wk
s = MatMul q k
d = Div s 8
p = Softmax d
v = MatMul x wv
o = MatMul p v
"""


def vertical(graph: Graph) -> Grouping:
    """The groups that regions grow over."""
    return Grouping(Space(graph).structure, partition_of(decide(graph, "vertical")))


def found(text: str) -> list[str]:
    """Each candidate as its kind and the nodes that it takes."""
    grouping = vertical(graph_of(text))
    return [f"{r.kind}: {' '.join(nodes_of(grouping, r))}" for r in regions(grouping)]


def nodes_of(grouping: Grouping, region: Region) -> list[str]:
    graph = grouping.structure.graph
    return [graph.nodes[i].id for g in region.groups for i in grouping.members[g]]


def moves(text: str) -> dict[str, Move]:
    """The legal merges of vertical groups into regions, by their nodes."""
    space = Space(graph_of(text))
    grouping = Grouping(space.structure, partition_of(decide(space.graph, "vertical")))
    return {" ".join(space.structure.ids(m.nodes)): m for m in space.region_moves(grouping)}


def test_a_bottleneck_grows_from_its_last_conv_to_all_four() -> None:
    assert found(BOTTLENECK) == [
        "chain: a b c d",
        "chain: c d e",
        "chain: a b c d e",
        "chain: e f g y",
        "chain: c d e f g y",
        "chain: a b c d e f g y",
    ]


def test_attention_is_complete_before_its_other_operands_join() -> None:
    assert found(ATTENTION)[-4:] == [
        "tail: p o",
        "attention: s d p o",
        "attention: s d p v o",
        "attention: k s d p v o",
    ]


def test_what_a_softmax_reads_may_join_it_without_the_second_matmul() -> None:
    assert found(ATTENTION)[2:5] == ["tail: s d p", "tail: k s d p", "tail: q k s d p"]


def test_two_matmuls_and_what_is_between_are_a_matmul_chain() -> None:
    assert found("a = MatMul x w1\nb = Tanh a\nc = MatMul b w2") == ["matmul-chain: a b c"]


def test_stem_and_pool_are_a_chain_and_pool_to_gemm_a_tail() -> None:
    assert found("a = Conv x w1\nb = Relu a\nc = MaxPool b") == ["chain: a b c"]
    assert found("a = GlobalAveragePool x\nb = Flatten a\nc = Gemm b w") == ["tail: a b c"]


def test_a_value_that_is_read_elsewhere_ends_a_region() -> None:
    assert found("a = Conv x w1\nb = Conv a w2\nc = Softmax a\nd = Softmax b") == ["chain: b d"]


def test_there_are_never_more_anchors_than_a_region_may_have() -> None:
    text = "\n".join(f"c{i} = Conv {f'c{i - 1}' if i else 'x'} w{i}" for i in range(9))
    grouping = vertical(graph_of(text))
    assert max(len(r.groups) for r in regions(grouping)) == MAX_ANCHORS
    assert Space(graph_of(text)).legal("global", range(MAX_ANCHORS + 1)) == "many-anchors"


def test_the_bytes_of_a_region_are_what_the_boundary_loses() -> None:
    graph = graph_of(ATTENTION)
    before = decide(graph, "vertical")
    move = moves(ATTENTION)["s d p o"]
    rest = [nodes for nodes in partition_of(before) if not set(nodes) & set(move.nodes)]
    old, new = boundary_bytes(before), boundary_bytes(cut(graph, "global", [*rest, move.nodes], ()))
    assert move.code == "global:attention"
    assert move.numbers["write_bytes"] == old.activations_written - new.activations_written
    assert move.numbers["read_bytes"] == old.activations_read - new.activations_read


def test_a_region_has_one_exit() -> None:
    space = Space(graph_of("a = Conv x w1\nb = Conv a w2\nc = Tanh a"))
    assert space.legal("global", (0, 1)) == "two-readers"
    assert space.legal("global", (0, 1, 2)) == "model-output"


def test_a_chain_of_convs_has_one_entry_and_folds_no_whole_image() -> None:
    text = "a = Conv x w1\nb = Conv a w2\ns = Add b z\np = GlobalAveragePool s"
    space = Space(graph_of(text))
    assert space.legal("global", (0, 1)) == ""
    assert space.legal("global", (0, 1, 2)) == "two-entries"
    assert space.legal("global", (0, 1, 2, 3)) == "whole-image"
    assert not Space(graph_of("a = Conv x w1\nb = MaxPool a")).legal("global", (0, 1))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_every_candidate_keeps_a_runnable_order_and_one_exit(data: st.DataObject) -> None:
    ops: list[tuple[str, tuple[int, ...]]] = []
    for i in range(data.draw(st.integers(2, 16))):
        near = st.lists(st.integers(max(-1, i - 4), i - 1), min_size=1, max_size=2)
        name = data.draw(st.sampled_from(("Relu", "Add", "Softmax", "Conv", "MatMul")))
        ops.append((name, tuple(data.draw(near))))
    graph = numbered(ops)
    space, grouping = Space(graph), vertical(graph)
    for move in space.region_moves(grouping):
        nodes, groups = move.nodes, grouping.groups_of(move.nodes)
        rest = [n for g, n in grouping.members.items() if g not in groups]
        made: set[str] = {"x"}
        for group in cut(graph, "global", [*rest, nodes], ()).groups:
            assert made.issuperset(group.inputs)
            made.update(group.outputs)
        classes = [OPS[graph.nodes[i].op].fusion for i in nodes]
        anchors, folds = classes.count(Fusion.ANCHOR), classes.count(Fusion.REDUCTION)
        assert anchors > 1 or (anchors and folds)
