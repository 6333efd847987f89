"""Where layouts go, what is converted for them, and that values stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.graph import Graph, Node
from emu.ir.interpret import interpret
from emu.ir.layout import LAYOUTS, ROW_MAJOR
from emu.ir.passes.assign_layouts import assign_layouts
from emu.ir.passes.infer_types import output_types
from emu.ir.passes.operand_layouts import Sides
from emu.ir.types import type_of
from tests.ir.passes.planting import Plant, Sketch, feeds, ops, planted, sources

FORCED = tuple(name for name in LAYOUTS if name not in ("auto", "nchw"))


def laid(graph: Graph, layout: str, *refused: str) -> Graph:
    """The graph with every product in a layout, and no node whose op is refused."""

    def takes(node: Node, sides: Sides) -> bool:
        return len(sides.ins) == len(node.inputs) and node.op not in refused

    kinds = ("Conv", "ConvTranspose", "MatMul", "Gemm")
    asking = frozenset(node.id for node in graph.nodes if node.op in kinds)
    return assign_layouts(graph, LAYOUTS[layout], asking, takes).verify()


def layouts(graph: Graph) -> list[str]:
    """The layout of what each node makes, in order."""
    return [graph.types[node.output].layout for node in graph.nodes]


def conv(sketch: Sketch, x: str, group: int = 1) -> str:
    weight = sketch.weight(4, 4 // group, 3, 3)
    return sketch.add("Conv", x, weight, sketch.weight(4), pads=(1, 1, 1, 1), group=group)


def matmul(sketch: Sketch, x: str) -> str:
    return sketch.add("MatMul", x, sketch.weight(5, 5))


def mixed(sketch: Sketch, x: str) -> str:
    """An image op, rows, a wall and a branch, so that demands meet."""
    image = sketch.add("MaxPool", conv(sketch, x), kernel_shape=(3, 3), pads=(1, 1, 1, 1))
    rows = sketch.add("Softmax", matmul(sketch, sketch.add("BiasAdd", image, sketch.weight(4))))
    flat = sketch.add("Reshape", sketch.add("Reshape", rows, shape=(4, 25)), shape=(1, 4, 5, 5))
    left, right = sketch.add_many("Split", [conv(sketch, flat, group=4)], 2, axis=1, sizes=(2, 2))
    whole = sketch.add("Concat", right, left, axis=1)
    return sketch.add("Add", whole, sketch.add("ReduceMean", image, axes=(2, 3), keepdims=1))


PLANTS: dict[str, Plant] = {"conv": conv, "matmul": matmul, "mixed": mixed}


@pytest.mark.parametrize("plant", PLANTS)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_values_types_and_ends_of_a_graph_stay_whatever_the_layout(
    plant: str, data: st.DataObject
) -> None:
    before = data.draw(planted(PLANTS[plant]))
    after = laid(before, data.draw(st.sampled_from(FORCED)))

    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    assert sources(after) == sources(before)
    wanted, found = interpret(before, feeds(before)), interpret(after, feeds(before))
    for name, value in wanted.items():
        assert np.array_equal(found[name], value)
        assert after.types[name] == type_of(value)
    for node in (n for n in after.nodes if n.op == "Relayout"):
        assert output_types(node, after.types) == (after.types[node.output],)
        assert after.types[node.inputs[0]].layout != after.types[node.output].layout


@pytest.mark.parametrize("plant", PLANTS)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_no_value_is_converted_twice_to_one_layout_or_back_again(
    plant: str, data: st.DataObject
) -> None:
    after = laid(data.draw(planted(PLANTS[plant])), data.draw(st.sampled_from(FORCED)))
    made = [n for n in after.nodes if n.op == "Relayout"]
    pairs = [(n.inputs[0], after.types[n.output].layout) for n in made]
    assert len(set(pairs)) == len(pairs)
    assert not {n.output for n in made} & {n.inputs[0] for n in made}


def test_elementwise_nodes_between_products_stay_in_their_layout() -> None:
    sketch = Sketch()
    first = sketch.add("Relu", conv(sketch, sketch.input("x")))
    after = laid(sketch.graph(sketch.add("Relu", conv(sketch, first))), "nhwc")
    assert ops(after) == ["Relayout", "Conv", "Relu", "Conv", "Relu", "Relayout"]
    assert layouts(after) == ["nhwc"] * 5 + [ROW_MAJOR]


def test_a_value_is_converted_once_for_all_its_readers_and_its_own_output() -> None:
    sketch = Sketch()
    x = sketch.input("x")
    one, two = conv(sketch, x), conv(sketch, x)
    turned = sketch.add("Transpose", one, perm=(0, 2, 3, 1))
    after = laid(sketch.graph(sketch.add("Add", one, two), turned), "nhwc")
    assert ops(after).count("Relayout") == 3  # x, the first conv, the sum


def test_weights_are_stored_as_they_are_read_and_never_converted_in_the_run() -> None:
    sketch = Sketch()
    x = sketch.input("x", (1, 4, 5, 5))
    after = laid(sketch.graph(conv(sketch, conv(sketch, x), group=4)), "blocked")
    stored = sorted(c.type.layout for c in after.constants.values())
    assert stored == ["goihw16g", "oihw16i16o", ROW_MAJOR, ROW_MAJOR]
    assert all(after.types[name] == c.type for name, c in after.constants.items())
    assert ops(after).count("Relayout") == 2


def test_a_weight_that_two_layouts_read_is_stored_twice() -> None:
    sketch = Sketch()
    weight = sketch.weight(4, 4, 3, 3)
    made = sketch.add("Conv", sketch.input("x"), weight)
    sums = sketch.add("ReduceSum", weight, axes=(0, 1, 2, 3), keepdims=0)
    after = laid(sketch.graph(made, sums), "nhwc")
    assert {c.type.layout for c in after.constants.values()} == {ROW_MAJOR, "nhwc"}
    assert {c.key for c in after.constants.values()} == {weight}


def test_the_smaller_value_is_converted_where_there_is_a_choice() -> None:
    sketch = Sketch()
    made = conv(sketch, sketch.input("x"))
    small = sketch.add("GlobalAveragePool", sketch.add("Relu", made))
    after = laid(sketch.graph(sketch.add("Flatten", small)), "blocked")
    assert ops(after) == ["Relayout", "Conv", "Relu", "GlobalAveragePool", "Relayout", "Flatten"]


def test_one_pixel_lies_alike_in_both_orders_and_needs_no_conversion() -> None:
    sketch = Sketch()
    small = sketch.add("GlobalAveragePool", conv(sketch, sketch.input("x")))
    gate = sketch.add("Sigmoid", sketch.add("Conv", small, sketch.weight(4, 4, 1, 1)))
    after = laid(sketch.graph(sketch.add("Flatten", gate)), "nhwc")
    assert ops(after) == ["Relayout", "Conv", "GlobalAveragePool", "Conv", "Sigmoid", "Flatten"]
    assert layouts(after)[2:] == [ROW_MAJOR] * 4


def test_what_follows_a_product_stays_in_its_group_though_its_own_bytes_are_more() -> None:
    sketch = Sketch(dtype="f32")
    made = sketch.add("Relu", conv(sketch, sketch.input("x")))
    after = laid(sketch.graph(sketch.add("Cast", made, to="f64")), "nhwc")
    assert ops(after) == ["Relayout", "Conv", "Relu", "Cast", "Relayout"]


def test_an_op_that_no_kernel_takes_so_is_a_wall() -> None:
    sketch = Sketch()
    first = sketch.add("Tanh", conv(sketch, sketch.input("x")))
    graph = sketch.graph(conv(sketch, first))
    after = laid(graph, "nhwc", "Tanh")
    assert ops(after) == [*("Relayout", "Conv", "Relayout", "Tanh", "Relayout", "Conv", "Relayout")]
    assert laid(graph, "nhwc", "Conv") is graph


def test_images_and_rows_have_layouts_of_their_own() -> None:
    sketch = Sketch()
    image = conv(sketch, sketch.input("x"))
    after = laid(sketch.graph(matmul(sketch, image)), "t8x128")
    assert ops(after) == ["Relayout", "Conv", "Relayout", "MatMul", "Relayout"]
    assert layouts(after) == ["nhwc.t8x128", "nhwc.t8x128", "t8x128", "t8x128", ROW_MAJOR]


@pytest.mark.parametrize(("channels", "conversions"), [(16, 2), (8, 3)])
def test_parts_of_a_concat_lie_in_blocks_only_where_they_begin_with_one(
    channels: int, conversions: int
) -> None:
    sketch = Sketch()
    x = sketch.input("x", (1, 16, 5, 5))
    parts = [sketch.add("Conv", x, sketch.weight(channels, 16, 1, 1)) for _ in range(2)]
    after = laid(sketch.graph(sketch.add("Concat", *parts, axis=1)), "blocked")
    assert ops(after).count("Relayout") == conversions


def test_without_schemes_or_products_a_graph_stays_as_it_is() -> None:
    sketch = Sketch()
    graph = sketch.graph(sketch.add("Relu", sketch.input("x")))
    assert laid(graph, "nhwc") is graph
    assert laid(graph, "nchw") is graph
