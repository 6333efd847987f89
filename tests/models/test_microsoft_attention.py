"""Attention and weights of few bits in onnxruntime's own domain, against onnxruntime."""

from pathlib import Path

import numpy as np
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import ModelError, UnsupportedOp
from emu.ir.interpret import interpret
from emu.ir.types import Array
from emu.models.reader import to_graph
from tests.models.foreign_ops import Spec, compare, modelled
from tests.models.small_models import floats, real

RNG = np.random.default_rng(7)


def whole(*numbers: int) -> Array:
    return np.array(numbers, np.int32)


def row(array: Array) -> Array:
    return array[None]


B, S, HEADS, SIZE = 2, 3, 2, 16
WIDTH = HEADS * SIZE
X, Q, K, V = (real(B, S, n, seed=i) for i, n in enumerate((6, WIDTH, WIDTH, WIDTH)))
WEIGHT, BIASES = real(6, 3 * WIDTH, seed=5), real(3 * WIDTH, seed=6)
N = {"num_heads": HEADS}
MASK = np.array([[1, 7, 0], [1, -1, 1]], np.int32)
CACHE = real(B, HEADS, 5, SIZE, seed=8)
OLD = np.stack([CACHE, CACHE[:, ::-1]])
ANGLES = real(16, SIZE // 2, seed=9)
COS, SIN = np.cos(ANGLES), np.sin(ANGLES)
LONG = real(B, 7, WIDTH, seed=10)

EIGHT = RNG.integers(0, 256, X.shape).astype(np.uint8)
COEFFICIENTS = [
    RNG.integers(-127, 128, WEIGHT.shape).astype(np.int8),
    BIASES,
    np.float32(0.02).reshape(1),
    np.float32(0.01).reshape(1),
]
ZEROS = [np.array([120], np.uint8), np.array([3], np.int8)]


ATTENTION: list[Spec] = [
    ("Attention", [X], [WEIGHT], "f32", N),
    ("Attention", [X], [WEIGHT, BIASES], "f32", {**N, "unidirectional": 1, "scale": 0.3}),
    ("Attention", [X], [WEIGHT, BIASES, MASK], "f32", N),
    ("Attention", [X], [WEIGHT, BIASES, None, None], "f32", N),
    ("Attention", [X], [WEIGHT, BIASES, whole(2, 3)], "f32", {**N, "mask_filter_value": -50.0}),
    ("Attention", [X], [WEIGHT, BIASES, whole(2, 3, 1, 0)], "f32", N),
    ("Attention", [X], [WEIGHT, BIASES, np.stack([MASK] * 3, 1)], "f32", N),
    ("Attention", [X], [WEIGHT, None, None, OLD], "f32 f32", N),
    ("Attention", [X], [WEIGHT, BIASES, None, None, real(1, HEADS, S, S)], "f32", N),
    ("Attention", [X], [real(6, 80), real(80)], "f32", {**N, "qkv_hidden_sizes": [32, 32, 16]}),
    ("QAttention", [EIGHT], [*COEFFICIENTS, None, *ZEROS], "f32", {**N, "unidirectional": 1}),
    ("QAttention", [EIGHT], [*COEFFICIENTS, whole(2, 3), *ZEROS], "f32", N),
    ("QAttention", [EIGHT], [*COEFFICIENTS, None, *ZEROS, OLD], "f32 f32", N),
    ("MultiHeadAttention", [Q, K, V], [], "f32", N),
    ("MultiHeadAttention", [Q, LONG, LONG.copy()], [BIASES], "f32", {**N, "scale": 0.2}),
    ("MultiHeadAttention", [Q, K, V], [None, MASK], "f32", {**N, "mask_filter_value": -80.0}),
    ("MultiHeadAttention", [Q, K, V], [None, whole(2, 3)], "f32", N),
    ("MultiHeadAttention", [Q, K, V], [BIASES, None, real(B, 1, S, S)], "f32", N),
    (
        "MultiHeadAttention",
        [Q, K, V],
        [None, None, None, CACHE, CACHE[::-1].copy()],
        "f32 f32 f32",
        {**N, "unidirectional": 1},
    ),
    ("MultiHeadAttention", [Q, CACHE, CACHE[::-1].copy()], [], "f32", N),
    ("RotaryEmbedding", [real(B, HEADS, S, SIZE)], [np.array([2]), COS, SIN], "f32", {}),
    ("RotaryEmbedding", [Q], [np.array([2]), COS, SIN], "f32", {"interleaved": 1}),
    (
        "RotaryEmbedding",
        [Q],
        [np.array([[0, 1, 2], [5, 6, 7]]), COS[:, :2].copy(), SIN[:, :2].copy()],
        "f32",
        {**N, "rotary_embedding_dim": 4},
    ),
]
G = {"num_heads": 4, "kv_num_heads": 2}
GQ, GK, GV = real(B, S, 4 * SIZE), real(B, S, WIDTH, seed=1), real(B, S, WIDTH, seed=2)
ONE = [GQ[:, :1].copy(), GK[:, :1].copy(), GV[:, :1].copy()]
PAST = [CACHE, CACHE[::-1].copy()]
ALL = "f32 f32 f32"
PROMPT = [None, None, whole(S - 1, S - 1), whole(S)]
GROUPED: list[Spec] = [
    ("GroupQueryAttention", [GQ, GK, GV], PROMPT, ALL, G),
    ("GroupQueryAttention", [np.concatenate([GQ, GK, GV], 2)], [None, None, *PROMPT], ALL, G),
    ("GroupQueryAttention", [*ONE], [*PAST, whole(5, 5), whole(6)], ALL, G),
    ("GroupQueryAttention", [*ONE], [*PAST, whole(4, 4), whole(5)], ALL, {**G, "softcap": 5.0}),
    (
        "GroupQueryAttention",
        [*ONE],
        [*PAST, whole(5, 3), whole(6), COS, SIN],
        "f32 - -",
        {**G, "do_rotary": 1, "scale": 0.4},
    ),
    (
        "GroupQueryAttention",
        [GQ, GK, GV],
        [*PROMPT, COS, SIN],
        ALL,
        {**G, "do_rotary": 1, "rotary_interleaved": 1, "local_window_size": 2},
    ),
    (
        "GroupQueryAttention",
        [GQ[:1], GK[:1], GV[:1]],
        [PAST[0][:1], PAST[1][:1], whole(7), whole(8), None, None, None, real(1, 4, S, 8)],
        ALL,
        {**G, "local_window_size": 4},
    ),
    ("GroupQueryAttention", [GQ, GK, GV], PROMPT, "f32", {**G, "causal": 0}),
]


def packed(rows: int, blocks: int, size: int, bits: int = 4) -> Array:
    return RNG.integers(0, 256, (rows, blocks, size * bits // 8), endpoint=False).astype(np.uint8)


A, SCALES = real(2, 3, 40), np.abs(real(5, 3))
NB = {"N": 5, "K": 40, "bits": 4, "block_size": 16}
FEW_BITS: list[Spec] = [
    ("MatMulNBits", [A], [packed(5, 3, 16), SCALES], "f32", NB),
    (
        "MatMulNBits",
        [A],
        [packed(5, 3, 16), SCALES, packed(5, 1, 4)[:, 0], None, real(5)],
        "f32",
        {**NB, "accuracy_level": 0},
    ),
    ("MatMulNBits", [A], [packed(5, 3, 16), SCALES, real(5, 3)], "f32", NB),
    ("MatMulNBits", [A], [packed(5, 3, 16, 8), SCALES], "f32", {**NB, "bits": 8}),
]
CASES = [*ATTENTION, *GROUPED, *FEW_BITS]


@pytest.mark.parametrize("spec", CASES, ids=lambda spec: spec[0])
def test_an_op_of_onnxruntime_means_what_it_computes(tmp_path: Path, spec: Spec) -> None:
    compare(*modelled(tmp_path, spec))


REFUSED: list[tuple[Spec, type[Exception], str]] = [
    (("Attention", [X], [WEIGHT], "f32", {**N, "do_rotary": 1}), UnsupportedOp, "do_rotary"),
    (("Attention", [X], [WEIGHT], "f32", {}), ModelError, "num_heads is 0"),
    (("Attention", [X], [WEIGHT], "f32", {"num_heads": 7}), ModelError, "7 heads do not divide"),
    (
        ("Attention", [X], [WEIGHT, None, row(MASK[0])], "f32", N),
        UnsupportedOp,
        "a mask of tensor<1x3xi32>",
    ),
    (
        ("MultiHeadAttention", [real(B, S, HEADS, 3, SIZE)], [], "f32", N),
        UnsupportedOp,
        "queries, keys and values of tensor<2x3x2x3x16xf32>",
    ),
    (
        ("RotaryEmbedding", [Q], [np.array([2]), COS, SIN], "f32", {"is_packed_batching": 1}),
        UnsupportedOp,
        "is_packed_batching",
    ),
    (
        ("GroupQueryAttention", [GQ, GK, GV], PROMPT, "f32", {**G, "smooth_softmax": 1}),
        UnsupportedOp,
        "smooth_softmax",
    ),
    (
        ("GroupQueryAttention", [GQ, GK, GV], PROMPT, "f32", {**G, "k_quant_type": "PER_TENSOR"}),
        UnsupportedOp,
        "quantised cache",
    ),
    (
        ("GroupQueryAttention", [GQ[0], GK, GV], PROMPT, "f32", G),
        ModelError,
        "input 0 has 3 dimensions",
    ),
    (
        ("GroupQueryAttention", [GQ, GK, GV], [*PROMPT, *[None] * 4, floats(1, 2, 3, 4)], "f32", G),
        UnsupportedOp,
        "input 'c8'",
    ),
    (
        ("GroupQueryAttention", [*ONE], [None, None, whole(5, 5), whole(6)], "f32", G),
        ModelError,
        "input 3 is missing",
    ),
    (
        ("GroupQueryAttention", ONE, [*PAST, whole(5, 5), whole(6)], "f32", G),
        UnsupportedOp,
        "read and not made",
    ),
    (
        ("MatMulNBits", [A], [packed(5, 3, 16), SCALES], "f32", {**NB, "bits": 3}),
        UnsupportedOp,
        "2, 4 or 8 bits",
    ),
    (("MatMulNBits", [A], [packed(5, 3, 16), SCALES], "f32", {}), ModelError, "N is 0"),
]


@pytest.mark.parametrize(("spec", "error", "why"), REFUSED, ids=lambda value: str(value)[:25])
def test_what_is_not_supported_is_refused_with_the_node(
    tmp_path: Path, spec: Spec, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=f"node 'the_node.*{why}"):
        to_graph(modelled(tmp_path, spec)[0], {})


def test_a_cache_with_room_is_written_where_each_sequence_ends(tmp_path: Path) -> None:
    """Behind the last place of the longest, onnxruntime leaves what the memory had."""
    spec = ("GroupQueryAttention", ONE, [*PAST, whole(3, 2), whole(4)], ALL, G)
    model, fed = modelled(tmp_path, spec)
    ours, theirs = interpret(to_graph(model, {}), fed), onnxruntime_outputs(model, fed)
    np.testing.assert_allclose(ours["y0"], theirs["y0"], rtol=1e-4, atol=1e-5)
    for name, values in (("y1", ONE[1]), ("y2", ONE[2])):
        new = values.reshape(B, HEADS, SIZE)
        assert ours[name].shape == theirs[name].shape == (B, HEADS, 5, SIZE)
        for sequence, place in ((0, 3), (1, 2)):
            np.testing.assert_array_equal(ours[name][sequence, :, place], new[sequence])
            kept = (sequence, slice(None), slice(place))
            np.testing.assert_array_equal(ours[name][kept], theirs[name][kept])
