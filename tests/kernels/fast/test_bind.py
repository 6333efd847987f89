"""A group computes what its nodes say, in little memory, and overwrites nothing that is read."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import ABSENT, Body, BodyNode, FrozenAttrs
from emu.ir.errors import BadValues
from emu.ir.ops import OPS
from emu.ir.types import Array, TensorType, type_of
from emu.kernels.fast import fast_body, fast_op

SIDE = 6
SQUARE = TensorType("f32", (SIDE, SIDE))
Step = tuple[str, tuple[int, ...]]


def body(steps: list[Step], inputs: int, outputs: tuple[int, ...], side: int = SIDE) -> Body:
    """Return a body whose node i defines value inputs+i; every value is a square of one size."""
    nodes = tuple(
        BodyNode(op, ins, (inputs + i,), ATTRS.get(op, ())) for i, (op, ins) in enumerate(steps)
    )
    square = TensorType("f32", (side, side))
    return Body(nodes, (square,) * (inputs + len(steps)), inputs, frozenset(), outputs)


ATTRS: dict[str, FrozenAttrs] = {
    "Transpose": (("perm", (1, 0)),),
    "Reshape": (("shape", (SIDE, SIDE)),),
    "Clip": (("max", 1.0), ("min", -1.0)),
}


def squares(count: int, side: int = SIDE) -> list[Array]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal((side, side), dtype=np.float32) for _ in range(count)]


def one_by_one(program: Body, inputs: list[Array]) -> list[Array]:
    """Compute with a fresh copy of everything, so that nothing can be overwritten."""
    known = dict(enumerate(inputs))
    for node in program.nodes:
        ins = [None if v == ABSENT else known[v].copy() for v in node.ins]
        found = fast_op(node.op, node.attrs, ins, len(node.outs))
        known.update(zip(node.outs, (a.copy() for a in found), strict=True))
    return [known[v] for v in program.outputs]


def assert_right(program: Body, inputs: list[Array]) -> None:
    before = [a.copy() for a in inputs]
    found = fast_body(program, inputs)
    for a, b in zip(found, one_by_one(program, before), strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(inputs, before, strict=True):
        assert np.array_equal(a, b)


UNARY = ("Relu", "Neg", "Erf", "Gelu", "Softmax", "Transpose", "Reshape", "Identity", "Clip")
BINARY = ("Add", "Sub", "Mul", "MatMul", "Max")


@st.composite
def programs(draw: st.DrawFn) -> Body:
    steps: list[Step] = []
    for i in range(draw(st.integers(1, 9))):
        value = st.integers(0, 1 + i)
        op = draw(st.sampled_from(UNARY + BINARY))
        ins = (draw(value),) if op in UNARY else (draw(value), draw(value))
        steps.append((op, ins))
    made = range(2, 2 + len(steps))
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    return body(steps, 2, tuple(outputs))


@settings(max_examples=150, deadline=None)
@given(programs())
def test_a_body_computes_what_its_nodes_compute_one_by_one(program: Body) -> None:
    assert_right(program, squares(2))


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("Neg", (0,)), ("Relu", (1,)), ("Add", (1, 2))], id="second reader"),
        pytest.param(
            [("Neg", (0,)), ("Reshape", (1,)), ("Relu", (1,)), ("Add", (2, 3))], id="view"
        ),
        pytest.param([("Neg", (0,)), ("Transpose", (1,)), ("Sub", (1, 2))], id="both operands"),
        pytest.param([("Identity", (0,)), ("Relu", (1,))], id="an input by another name"),
        pytest.param([("Neg", (0,)), ("Mul", (1, 1))], id="twice the same"),
    ],
)
def test_a_value_that_is_still_read_is_not_overwritten(steps: list[Step]) -> None:
    assert_right(body(steps, 1, (len(steps),)), squares(1))


def test_an_output_that_is_read_inside_keeps_its_values() -> None:
    assert_right(body([("Neg", (0,)), ("Relu", (1,))], 1, (1, 2)), squares(1))


def test_a_norm_does_not_overwrite_the_scale_that_it_reads() -> None:
    vector = TensorType("f32", (4,))
    scale = BodyNode("Neg", (1,), (2,))
    norm = BodyNode("LayerNormalization", (2, 2, ABSENT), (3,), (("axis", -1),))
    program = Body((scale, norm), (vector,) * 4, 2, frozenset(), (3,))
    x = np.array([1, 5, 2, 7], np.float32)
    assert_right(program, [x, x + 1])


def test_a_node_with_several_outputs_and_an_unread_one_runs() -> None:
    split = BodyNode("Split", (0,), (1, 2), (("axis", 0), ("sizes", (2, 4))))
    low, high = (TensorType("f32", (rows, SIDE)) for rows in (2, 4))
    relu = BodyNode("Relu", (2,), (3,))
    program = Body((split, relu), (SQUARE, low, high, high), 1, frozenset(), (3,))
    (found,) = fast_body(program, squares(1))
    assert np.array_equal(found, np.maximum(squares(1)[0][2:], 0))


def test_an_epilogue_needs_no_second_array() -> None:
    side = 512
    steps: list[Step] = [("MatMul", (0, 1)), ("Add", (3, 2)), ("Relu", (4,)), ("Clip", (5,))]
    inputs = squares(3, side)
    tracemalloc.start()
    fast_body(body(steps, 3, (6,), side), inputs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * inputs[0].nbytes


def test_intermediates_are_freed_when_last_read() -> None:
    side = 512
    steps: list[Step] = [("MatMul", (i, i)) for i in range(8)]
    inputs = squares(1, side)
    tracemalloc.start()
    with np.errstate(all="ignore"):
        fast_body(body(steps, 1, (8,), side), inputs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.5 * inputs[0].nbytes  # the output has its place from the start


def moved(op: str, inputs: list[Array], attrs: FrozenAttrs, fixed: bool = True) -> list[Array]:
    """What an op that moves elements makes of inputs, the first of which may change."""
    types = [type_of(a) for a in inputs]
    made = OPS[op].infer(types, dict(attrs))
    outs = tuple(range(len(inputs), len(inputs) + len(made)))
    node = BodyNode(op, tuple(range(len(inputs))), outs, attrs)
    weights = frozenset(range(1, len(inputs))) if fixed else frozenset[int]()
    program = Body((node,), (*types, *made), len(inputs), weights, outs)
    return list(fast_body(program, inputs))


X = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16", "bool"])
def test_parts_are_joined_and_cut_in_any_type(dtype: str) -> None:
    x = X.astype(dtype)
    (joined,) = moved("Concat", [x, x[:, :0], x[:, 1:]], (("axis", -2),))
    assert np.array_equal(joined, np.concatenate([x, x[:, 1:]], 1))
    low, high = moved("Split", [x], (("axis", -1), ("sizes", (1, 3))))
    assert np.array_equal(low, x[..., :1])
    assert np.array_equal(high, x[..., 1:])


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("indices", [np.array(-1), np.array([[2, 0], [-3, 1]])])
def test_rows_are_taken_by_indices_from_both_ends(fixed: bool, indices: Array) -> None:
    (found,) = moved("Gather", [X, indices], (("axis", 1),), fixed)
    assert np.array_equal(found, np.take(X, indices, 1))


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("index", [3, -4])
def test_an_index_outside_is_refused_whether_it_is_fixed_or_not(fixed: bool, index: int) -> None:
    with pytest.raises(BadValues, match="outside of 3 entries"):
        moved("Gather", [X, np.array([0, index])], (("axis", 1),), fixed)


def as_image(x: Array) -> Array:
    return np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)


MARGINS = [("constant", 2.5), ("reflect", 0.0), ("edge", 0.0), ("wrap", 0.0)]


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize(("mode", "value"), MARGINS)
def test_margins_are_laid_around_rows_and_images(mode: str, value: float, dtype: str) -> None:
    x = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4).astype(dtype)
    attrs: FrozenAttrs = (("mode", mode), ("pads", (0, 0, 2, -1, 0, 0, 1, 3)), ("value", value))
    for given_x in (x, as_image(x), x[::-1]):
        (found,) = moved("Pad", [given_x], attrs)
        assert found.dtype == x.dtype
        assert np.array_equal(found, OPS["Pad"].run(given_x, **dict(attrs)))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_images_are_resized_as_the_op_table_says(mode: str) -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 5, 4), dtype=np.float32)
    attrs: FrozenAttrs = (("mode", mode), ("scales", (1.0, 1.0, 2.0, 1.5)))
    wanted = OPS["Resize"].run(x, **dict(attrs))
    for given_x in (x, as_image(x)):
        (found,) = moved("Resize", [given_x], attrs)
        assert np.array_equal(found, wanted)


def test_images_are_blended_between_neighbours_as_the_op_table_says() -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 5, 4), dtype=np.float32)
    modes = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    for mode, scales in product(modes, [(1, 1, 2.5, 1.5), (1, 2, 1, 0.5), (2, 1.5, 0.4, 3)]):
        attrs: FrozenAttrs = (
            ("coordinate_transformation_mode", mode),
            ("mode", "linear"),
            ("scales", tuple(map(float, scales))),
        )
        wanted = OPS["Resize"].run(x, **dict(attrs))
        for given_x in (x, as_image(x), x[::-1][::-1], x.T.copy().T):
            (found,) = moved("Resize", [given_x], attrs)
            assert np.array_equal(found, wanted)


def test_results_too_large_for_a_table_of_places_are_moved_as_well() -> None:
    x = np.arange(300 * 300, dtype=np.float32).reshape(1, 1, 300, 300)
    (found,) = moved("Resize", [x], (("scales", (1.0, 1.0, 2.0, 2.0)),))
    assert np.array_equal(found, x.repeat(2, 2).repeat(2, 3))
