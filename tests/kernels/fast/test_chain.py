"""Nodes side by side become one program, with the bits that each has alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body, BodyNode, FrozenAttrs
from emu.ir.types import Array, TensorType
from emu.kernels.fast import Scratch, bind, fast_body, fast_op
from emu.kernels.fast.chain import SHORT, THIN
from emu.kernels.fast.memory import aligned, bytes_of
from emu.kernels.fast.rows import Frame
from emu.kernels.fast.writer import Held, flat
from emu.kernels.native.rows import HEAD

LAST: FrozenAttrs = (("axes", (-1,)),)
WHOLE, BY_ROW, VECTOR = (2, 5, 18), (2, 5, 1), (18,)


def typed(nodes: list[BodyNode], inputs: list[Array], outputs: tuple[int, ...]) -> Body:
    """A body of f32 values; shapes are those that its nodes make of the inputs."""
    shapes = {i: a.shape for i, a in enumerate(inputs)}
    for node in nodes:
        (made,) = fast_op(node.op, node.attrs, [zeros(shapes[v]) for v in node.ins])
        shapes[node.out] = made.shape
    types = tuple(TensorType("f32", shapes[v]) for v in range(len(shapes)))
    return Body(tuple(nodes), types, len(inputs), frozenset(), outputs)


def zeros(shape: tuple[int, ...]) -> Array:
    return np.zeros(shape, np.float32)


def made(*shape: int) -> Array:
    return np.random.default_rng(11).standard_normal(shape, dtype=np.float32)


def one_by_one(body: Body, inputs: list[Array]) -> list[Array]:
    known = dict(enumerate(inputs))
    for node in body.nodes:
        known[node.out] = fast_op(node.op, node.attrs, [known[v].copy() for v in node.ins])[0]
    return [known[v] for v in body.outputs]


def calls(body: Body, inputs: list[Array]) -> int:
    rooms = [aligned(bytes_of(body.types[v])) for v in body.outputs]
    return len(bind(body, inputs, rooms, Scratch()).calls)


def assert_right(body: Body, inputs: list[Array]) -> None:
    before = [a.copy() for a in inputs]
    for a, b in zip(fast_body(body, inputs), one_by_one(body, before), strict=True):
        assert np.array_equal(a, b, equal_nan=True)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(inputs, before, strict=True))


def layer_norm() -> list[BodyNode]:
    """A normalisation spelled out over value 0, with the number 1 and the scale 2."""
    return [
        BodyNode("ReduceMean", (0,), (3,), LAST),
        BodyNode("Sub", (0, 3), (4,)),
        BodyNode("Mul", (4, 4), (5,)),
        BodyNode("ReduceMean", (5,), (6,), LAST),
        BodyNode("Add", (6, 1), (7,)),
        BodyNode("Sqrt", (7,), (8,)),
        BodyNode("Div", (4, 8), (9,)),
        BodyNode("Mul", (9, 2), (10,)),
    ]


@pytest.mark.parametrize("outputs", [(10,), (10, 4), (8, 10), (3, 6, 9, 10)])
def test_a_spelled_out_normalisation_is_one_call(outputs: tuple[int, ...]) -> None:
    inputs = [made(*WHOLE), np.array(1e-5, np.float32), made(*VECTOR)]
    body = typed(layer_norm(), inputs, outputs)
    assert calls(body, inputs) == 1
    assert_right(body, inputs)


def chosen(mask: str, *outputs: int) -> tuple[Body, list[Array]]:
    """What is larger than, less than, ... another value replaced; the mask is value 4."""
    inputs = [made(*WHOLE), made(*BY_ROW), made(*VECTOR)]
    nodes = [
        BodyNode("Neg", (0,), (3,)),
        BodyNode(mask, (3, 1), (4,)),
        BodyNode("Where", (4, 2, 0), (5,)),
        BodyNode("Exp", (5,), (6,)),
    ]
    types = [TensorType("f32", s) for s in (WHOLE, BY_ROW, VECTOR, *(WHOLE,) * 4)]
    types[4] = TensorType("i1", WHOLE)
    return Body(tuple(nodes), tuple(types), len(inputs), frozenset(), outputs), inputs


@pytest.mark.parametrize("mask", ["Greater", "Less", "GreaterOrEqual", "LessOrEqual"])
def test_a_choice_by_a_mask_is_one_call(mask: str) -> None:
    body, inputs = chosen(mask, 6)
    inputs[0][0, 0, :3] = -inputs[1][0, 0, 0], np.nan, -np.inf
    assert calls(body, inputs) == 1
    assert_right(body, inputs)


def test_a_mask_that_leaves_its_group_is_made_and_read_in_memory() -> None:
    body, inputs = chosen("Less", 4, 6)
    assert calls(body, inputs) == 5  # a choice takes two
    assert_right(body, inputs)


def test_a_normalisation_by_statistics_that_never_change_goes_with_its_neighbours() -> None:
    inputs = [made(2, 3, 4, 5), *(np.abs(made(3)) for _ in range(4))]
    norm = BodyNode("BatchNormalization", (0, 1, 2, 3, 4), (5,), (("epsilon", 0.25),))
    body = typed([norm, BodyNode("Relu", (5,), (6,))], inputs, (6,))
    fixed = replace(body, weights=frozenset(range(1, 5)))
    assert calls(fixed, inputs) == 1
    assert_right(fixed, inputs)
    assert calls(body, inputs) == 2
    assert_right(body, inputs)


ONE_INPUT = ("Relu", "Exp", "Gelu", "Tanh", "Softmax", "ReduceMax", "ReduceSum", "Sigmoid")
TWO_INPUTS = ("Add", "Sub", "Mul", "Max")


@st.composite
def programs(draw: st.DrawFn) -> tuple[Body, list[Array]]:
    inputs = [made(*WHOLE), made(*BY_ROW), made(*VECTOR), made(2, 1, 18), made(*WHOLE)]
    nodes: list[BodyNode] = []
    for out in range(len(inputs), len(inputs) + draw(st.integers(1, 8))):
        op, value = draw(st.sampled_from(ONE_INPUT + TWO_INPUTS)), st.integers(0, out - 1)
        ins = (draw(value),) if op in ONE_INPUT else (draw(value), draw(value))
        attrs = LAST if op.startswith("Reduce") else ()
        nodes.append(BodyNode(op, ins, (out,), attrs))
    results = [n.out for n in nodes]
    outputs = draw(st.lists(st.sampled_from(results), min_size=1, max_size=3, unique=True))
    return typed(nodes, inputs, tuple(outputs)), inputs


@settings(max_examples=150, deadline=None)
@given(programs())
def test_values_of_mixed_shapes_have_the_bits_that_they_have_one_by_one(
    program: tuple[Body, list[Array]],
) -> None:
    with np.errstate(all="ignore"):
        assert_right(*program)


def test_images_with_channels_innermost_stay_so_and_other_inputs_are_turned() -> None:
    image = np.moveaxis(made(2, 4, 3, 7), -1, 1)
    inputs = [image, made(7, 1, 1), made(*image.shape)]
    nodes = [BodyNode("Mul", (0, 1), (3,)), BodyNode("Add", (3, 2), (4,))]
    body = typed(nodes, inputs, (4,))
    (found,) = fast_body(body, inputs)
    assert found.strides == image.strides
    assert np.array_equal(found, image * inputs[1] + inputs[2])


def test_a_result_without_the_folded_dimension_ends_a_chain() -> None:
    inputs = [made(6, 6)]
    nodes = [
        BodyNode("ReduceSum", (0,), (1,), (*LAST, ("keepdims", 0))),
        BodyNode("Add", (0, 1), (2,)),  # along the last dimension, not along rows
    ]
    assert_right(typed(nodes, inputs, (2,)), inputs)


def test_rows_of_any_length_and_none_at_all_are_computed() -> None:
    for shape in ((3, 1), (1, 1), (2, 17), (1, 2**16 + 3), (0, 4)):
        x = made(*shape)
        body = typed([BodyNode("Neg", (0,), (1,)), BodyNode("Softmax", (1,), (2,))], [x], (2,))
        assert_right(body, [x])


def test_a_frame_joins_dimensions_that_all_arrays_step_through_evenly() -> None:
    x, vector = made(4, 5, 6), made(6)
    alike = Frame(x.shape, (0, 1, 2)).laid([x, x])
    assert alike is not None
    assert (alike.sizes, alike.columns) == ((1, 1, 1), 120)
    spread = Frame(x.shape, (0, 1, 2)).laid([x, vector])
    assert spread is not None
    assert (spread.sizes, spread.columns) == ((1, 1, 20), 6)
    assert [o.by_row for o in spread.operands] == [(0, 0, 24), (0, 0, 0)]
    folded = Frame(x.shape, (0, 1, 2), 1).laid([x, made(4, 1, 1)])
    assert folded is not None
    assert (folded.rows, folded.columns) == (4, 30)
    assert [o.is_number for o in folded.operands] == [False, True]


def test_what_lies_too_unevenly_for_a_frame_is_told() -> None:
    uneven = made(2, 3, 2, 3, 2)[:, :1, :, :1]
    frame = Frame((2, 3, 2, 3, 2), (0, 1, 2, 3, 4))
    assert frame.laid([uneven, made(3, 1, 3, 1)]) is None
    assert not Frame((2, 3), (0, 1)).fits(made(3, 2).T)
    assert not Frame((2, 3), (0, 1)).fits(made(2, 6)[:, ::2])


@pytest.mark.parametrize(("exponent", "count"), [(2, 1), (3, 1), (1, 3), (0.5, 3), (4, 3)])
def test_a_power_by_a_small_number_is_part_of_a_chain(exponent: float, count: int) -> None:
    inputs = [np.abs(made(*WHOLE)), np.array([exponent], np.float32)]
    nodes = [
        BodyNode("Neg", (0,), (2,)),
        BodyNode("Pow", (2, 1), (3,)),
        BodyNode("Add", (3, 0), (4,)),
    ]
    body = replace(typed(nodes, inputs, (4,)), weights=frozenset({1}))
    assert calls(body, inputs) == count
    assert_right(body, inputs)
    assert calls(replace(body, weights=frozenset()), inputs) == 3
    assert_right(replace(body, weights=frozenset()), inputs)


@pytest.mark.parametrize("channels", [3, 200])
def test_numbers_by_channel_that_never_change_make_rows_of_several_pixels(channels: int) -> None:
    image = np.moveaxis(made(2, 4, 5, channels), -1, 1)
    inputs = [image, made(channels, 1, 1), np.array(0.5, np.float32)]
    nodes = [BodyNode("Mul", (0, 1), (3,)), BodyNode("Add", (3, 2), (4,))]
    body = replace(typed(nodes, inputs, (4,)), weights=frozenset({1, 2}))
    (found,) = fast_body(body, inputs)
    assert np.array_equal(found, image * inputs[1] + inputs[2])
    (step,) = bind(body, inputs, [aligned(bytes_of(body.types[4]))], Scratch()).calls
    assert isinstance(step, Held)
    columns = step.args[0][HEAD.index("columns")]
    assert columns == (channels if channels > SHORT else 4 * 5 * channels)


@pytest.mark.parametrize("columns", [3, THIN])
def test_thin_rows_are_copied_into_one(columns: int) -> None:
    inputs = [made(40, 50)[:, :columns], made(40, columns), np.array(2, np.float32)]
    nodes = [BodyNode("Sub", (0, 1), (3,)), BodyNode("Mul", (3, 2), (4,))]
    body = typed(nodes, inputs, (4,))
    assert_right(body, inputs)
    found = bind(body, inputs, [aligned(bytes_of(body.types[4]))], Scratch()).calls
    steps = [step for step in flat(found) if isinstance(step, Held)]
    rows = steps[-1].args[0][HEAD.index("end")]
    assert (len(flat(found)), rows) == ((1, 40) if columns == THIN else (2, 1))


@pytest.mark.parametrize("count", [1, 40, 400])
def test_rows_that_lie_apart_are_taken_in_groups(count: int) -> None:
    x = made(3, 4, count, 9)[:, ::3, :, 1:8]
    nodes = [
        BodyNode("ReduceMax", (0,), (1,), LAST),
        BodyNode("Sub", (0, 1), (2,)),
        BodyNode("Mul", (2, 1), (3,)),
    ]
    (found,) = fast_body(typed(nodes, [x], (3,)), [x])
    largest = x.max(-1, keepdims=True)
    assert np.array_equal(found, (x - largest) * largest)


def test_a_mask_of_one_number_a_row_chooses_whole_rows() -> None:
    inputs = [made(*WHOLE), np.array(2, np.float32), made(*VECTOR)]
    nodes = (
        BodyNode("ReduceMax", (0,), (3,), LAST),
        BodyNode("Greater", (3, 1), (4,)),
        BodyNode("Where", (4, 0, 2), (5,)),
    )
    types = [TensorType("f32", s) for s in (WHOLE, (), VECTOR, BY_ROW, BY_ROW, WHOLE)]
    types[4] = TensorType("i1", BY_ROW)
    body = Body(nodes, tuple(types), 3, frozenset(), (5,))
    assert calls(body, inputs) == 1
    (found,) = fast_body(body, inputs)
    mask = inputs[0].max(-1, keepdims=True) > 2
    assert 0 < mask.sum() < mask.size
    assert np.array_equal(found, np.where(mask, inputs[0], inputs[2]))
