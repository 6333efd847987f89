"""Candidates for global fusion, and merging those that were chosen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.errors import VerifyError
from emu.ir.fusion import Region, fuse, merge, regions
from emu.ir.group import Fused
from emu.ir.ops import OPS, Fusion
from emu.ir.traffic import boundary_bytes
from tests.ir.fusion.graph_text import graph_of, groups_of, numbered

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


def vertical(text: str) -> Fused:
    return fuse(graph_of(text), "vertical")


def found(text: str) -> list[str]:
    """Each candidate as its kind and the nodes that it takes."""
    fused = vertical(text)
    return [f"{r.kind}: {' '.join(nodes_of(fused, r))}" for r in regions(fused)]


def nodes_of(fused: Fused, region: Region) -> list[str]:
    return [node for g in region.groups for node in fused.groups[g].nodes]


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


def test_there_are_never_more_anchors_than_asked_for() -> None:
    text = "\n".join(f"c{i} = Conv {f'c{i - 1}' if i else 'x'} w{i}" for i in range(9))
    fused = vertical(text)
    assert max(len(r.groups) for r in regions(fused, max_anchors=3)) == 3
    assert len(regions(fused, max_anchors=2)) == 8


def test_a_merged_region_is_one_group_with_the_exit_of_its_sink() -> None:
    fused = vertical(BOTTLENECK)
    merged = merge(fused, [regions(fused)[-1]])
    assert merged.scope == "global"
    assert groups_of(merged) == ["a+b+c+d+e+f+g+y"]
    assert merged.groups[0].outputs == ("y",)
    assert merged.decisions[-1].code == "global:chain"


def test_the_bytes_of_a_merge_are_what_the_boundary_loses() -> None:
    fused = vertical(ATTENTION)
    merged = merge(fused, [next(r for r in regions(fused) if r.kind == "attention")])
    before, after = boundary_bytes(fused), boundary_bytes(merged)
    numbers = merged.decisions[-1].numbers
    assert numbers["write_bytes"] == before.activations_written - after.activations_written
    assert numbers["read_bytes"] == before.activations_read - after.activations_read


def test_regions_that_share_a_group_are_refused() -> None:
    fused = vertical(BOTTLENECK)
    with pytest.raises(VerifyError, match="share a group"):
        merge(fused, regions(fused)[:2])


def test_a_region_with_two_exits_is_refused() -> None:
    fused = vertical("a = Conv x w1\nb = Conv a w2\nc = Softmax a")
    with pytest.raises(VerifyError, match=r"group 'conv\.0' is read outside"):
        merge(fused, [Region((0, 1), "chain")])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_every_candidate_alone_keeps_a_runnable_order_and_one_exit(data: st.DataObject) -> None:
    ops: list[tuple[str, tuple[int, ...]]] = []
    for i in range(data.draw(st.integers(2, 16))):
        near = st.lists(st.integers(max(-1, i - 4), i - 1), min_size=1, max_size=2)
        name = data.draw(st.sampled_from(("Relu", "Add", "Softmax", "Conv", "MatMul")))
        ops.append((name, tuple(data.draw(near))))
    fused = fuse(numbered(ops), "vertical")
    for region in regions(fused):
        merged = merge(fused, [region])
        made: set[str] = {"x"}
        for group in merged.groups:
            assert made.issuperset(group.inputs)
            made.update(group.outputs)
        assert 1 <= anchors_in(fused, region) <= 4


def anchors_in(fused: Fused, region: Region) -> int:
    by_id = fused.graph.by_id
    return sum(OPS[by_id[n].op].fusion == Fusion.ANCHOR for n in nodes_of(fused, region))
