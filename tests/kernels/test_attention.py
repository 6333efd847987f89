"""Online softmax, tile by tile, means what the nodes of attention mean."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.tile import Compute, Load
from emu.kernels.attention import build_attention, matches_attention
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling
from tests.tiles import Sketch, blocks, check_program

BATCH, HEADS, QUERIES, KEYS, DEPTH = 2, 3, 10, 14, 4


def keys_last(s: Sketch) -> str:
    return s.input(BATCH, HEADS, DEPTH, KEYS)


def core(s: Sketch, scores: str) -> str:
    p = s.op("Softmax", scores, axis=-1)
    return s.op("MatMul", p, s.input(BATCH, HEADS, KEYS, DEPTH))


def queries(s: Sketch) -> str:
    return s.input(BATCH, HEADS, QUERIES, DEPTH)


def plain() -> Body:
    s = Sketch()
    core(s, s.op("Div", s.op("MatMul", queries(s), keys_last(s)), s.weight()))
    return s.body()


def with_transposed_keys_and_mask() -> Body:
    s = Sketch()
    keys = s.op("Transpose", s.input(BATCH, HEADS, KEYS, DEPTH), perm=(0, 1, 3, 2))
    scores = s.op("Mul", s.weight(1), s.op("MatMul", queries(s), keys))
    core(s, s.op("Add", scores, s.input(BATCH, 1, 1, KEYS)))
    return s.body()


def with_causal_mask_and_tail() -> Body:
    s = Sketch()
    scores = s.op("MatMul", queries(s), keys_last(s))
    y = core(s, s.op("Where", s.weight(QUERIES, KEYS, dtype="i1"), scores, s.weight()))
    turned = s.op("Transpose", s.op("Relu", y), perm=(0, 2, 1, 3))
    s.op("Reshape", turned, shape=(BATCH, QUERIES, HEADS * DEPTH))
    return s.body()


def with_scaled_probabilities() -> Body:
    s = Sketch()
    p = s.op("Softmax", s.op("MatMul", s.op("Mul", queries(s), s.weight()), keys_last(s)))
    scaled = s.op("Mul", p, s.weight())
    s.op("Add", s.op("MatMul", scaled, s.input(BATCH, HEADS, KEYS, DEPTH)), s.weight(DEPTH))
    return s.body()


def without_heads() -> Body:
    s = Sketch()
    p = s.op("Softmax", s.op("MatMul", s.input(QUERIES, DEPTH), s.input(DEPTH, KEYS)))
    s.op("MatMul", p, s.input(KEYS, 5))
    return s.body()


def with_keys_of_all_heads() -> Body:
    s = Sketch()
    p = s.op("Softmax", s.op("MatMul", queries(s), s.input(BATCH, 1, DEPTH, KEYS)))
    s.op("MatMul", p, s.input(KEYS, DEPTH))
    return s.body()


BODIES = (
    plain,
    with_transposed_keys_and_mask,
    with_causal_mask_and_tail,
    with_scaled_probabilities,
    without_heads,
    with_keys_of_all_heads,
)
TILINGS = st.builds(
    Tiling,
    tile=st.tuples(st.integers(1, QUERIES + 1)),
    k=st.integers(0, KEYS + 1),
    cores=st.sampled_from((0, 1, 3, 16)),
    depth=st.sampled_from((1, 2)),
)


@pytest.mark.parametrize("make", BODIES)
@settings(max_examples=15, deadline=None)
@given(tiling=TILINGS, data=st.data())
def test_online_softmax_computes_attention_and_moves_what_is_counted(
    make: Callable[[], Body], tiling: Tiling, data: st.DataObject
) -> None:
    body = make()
    assert matches_attention(body) is None
    program = build_attention(body, tiling, make.__name__)
    check_program(body, program, data.draw(blocks(program)))


def test_each_query_tile_reads_keys_and_values_once_and_queries_are_read_once() -> None:
    program = build_attention(without_heads(), Tiling((5,), k=7), "attention")
    loops = {
        program.buffers[p.statement.buffer].value: [program.loops[i].extent for i in p.loops]
        for p in program.statements
        if isinstance(p.statement, Load)
    }
    assert loops == {0: [QUERIES], 1: [QUERIES, KEYS], 2: [QUERIES, KEYS]}


def test_every_statement_is_charged_to_the_node_that_it_belongs_to() -> None:
    body = without_heads()
    program = build_attention(body, Tiling((5,), k=7), "attention")
    computes = [p.statement for p in program.statements if isinstance(p.statement, Compute)]
    charged = {(c.op if c.kind == "matrix" else "vector", c.node) for c in computes}
    assert charged == {("MatMul", 0), ("vector", 1), ("MatMul", 2)}


def softmax_only() -> Body:
    s = Sketch()
    s.op("Softmax", s.input(4, 4))
    return s.body()


def softmax_over_queries() -> Body:
    s = Sketch()
    p = s.op("Softmax", s.op("MatMul", s.input(6, 4), s.input(4, 6)), axis=0)
    s.op("MatMul", p, s.input(6, 4))
    return s.body()


def softmax_after_both() -> Body:
    s = Sketch()
    s.op("Softmax", s.op("MatMul", s.op("MatMul", s.input(6, 4), s.input(4, 6)), s.input(6, 4)))
    return s.body()


def scores_that_leave() -> Body:
    s = Sketch()
    scores = s.op("MatMul", s.input(6, 4), s.input(4, 6))
    return s.body(scores, s.op("MatMul", s.op("Softmax", scores), s.input(6, 4)))


def scores_read_twice() -> Body:
    s = Sketch()
    scores = s.op("MatMul", s.input(6, 4), s.input(4, 6))
    p = s.op("Softmax", s.op("Mul", scores, s.op("Relu", scores)))
    s.op("MatMul", p, s.input(6, 4))
    return s.body()


def scores_turned() -> Body:
    s = Sketch()
    scores = s.op("Transpose", s.op("MatMul", s.input(6, 4), s.input(4, 6)), perm=(1, 0))
    s.op("MatMul", s.op("Softmax", scores), s.input(6, 4))
    return s.body()


def probabilities_shifted() -> Body:
    s = Sketch()
    p = s.op("Softmax", s.op("MatMul", s.input(6, 4), s.input(4, 6)))
    s.op("MatMul", s.op("Add", p, s.weight()), s.input(6, 4))
    return s.body()


def normalised_after() -> Body:
    s = Sketch()
    p = s.op("Softmax", s.op("MatMul", s.input(6, 4), s.input(4, 6)))
    s.op("LayerNormalization", s.op("MatMul", p, s.input(6, 4)), s.weight(4))
    return s.body()


def probabilities_on_the_right() -> Body:
    s = Sketch()
    p = s.op("Softmax", s.op("MatMul", s.input(6, 4), s.input(4, 6)))
    s.op("MatMul", s.input(4, 6), p)
    return s.body()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (softmax_only, "two MatMuls and one Softmax"),
        (softmax_over_queries, "over the keys"),
        (softmax_after_both, "between the MatMuls"),
        (scores_that_leave, "read elsewhere"),
        (scores_read_twice, "from MatMul to Softmax to MatMul only"),
        (scores_turned, "only elementwise nodes may stand between"),
        (probabilities_shifted, "scaled by one number"),
        (normalised_after, "before or after"),
        (probabilities_on_the_right, "V must come from outside"),
    ],
)
def test_what_is_no_attention_is_refused_with_a_reason(make: Callable[[], Body], why: str) -> None:
    body = make()
    assert why in str(matches_attention(body))
    with pytest.raises(Untileable, match=why):
        build_attention(body, Tiling((2,), k=2), "attention")


def test_keys_that_are_also_queries_are_refused_because_they_are_cut_in_two_ways() -> None:
    s = Sketch()
    x = s.input(6, 4)
    scores = s.op("MatMul", x, s.op("Transpose", x, perm=(1, 0)))
    s.op("MatMul", s.op("Softmax", scores), s.input(6, 4))
    with pytest.raises(Untileable):
        build_attention(s.body(), Tiling((2,), k=2), "attention")
