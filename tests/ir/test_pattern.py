"""Tree patterns: what matches, what it captures, and what keeps a match from being one."""

import numpy as np

from emu.ir.graph import Graph
from emu.ir.pattern import Known, Match, Pattern, any_scalar, match, node, scalar
from emu.ir.types import Array
from tests.ir.passes.planting import Sketch

CONV_RELU = node("Relu", node("Conv"))
MEAN = node("ReduceMean", "x")
CENTRED = node("Sub", "x", MEAN)
# x - mean(x) is read twice, and both readers are inside.
SPREAD = node("Div", CENTRED, node("Sqrt", node("ReduceMean", node("Mul", CENTRED, CENTRED))))


def number(value: float) -> Array:
    return np.float32(value).reshape(1)


def at_last(pattern: Pattern, graph: Graph) -> Match | None:
    return match(pattern, graph.nodes[-1], graph)


def test_a_chain_matches_from_its_last_node() -> None:
    sketch = Sketch()
    conv = sketch.add("Conv", sketch.input("x"), sketch.weight(4, 4, 1, 1))
    graph = sketch.graph(sketch.add("Relu", conv))
    assert at_last(CONV_RELU, graph) == Match(("n0", "n1"), {})
    assert match(CONV_RELU, graph.nodes[0], graph) is None


def test_a_value_with_a_second_reader_is_not_inside() -> None:
    sketch = Sketch()
    conv = sketch.add("Conv", sketch.input("x"), sketch.weight(4, 4, 1, 1))
    tanh, relu = sketch.add("Tanh", conv), sketch.add("Relu", conv)
    assert at_last(CONV_RELU, sketch.graph(tanh, relu)) is None


def test_an_output_of_the_graph_is_not_inside() -> None:
    sketch = Sketch()
    conv = sketch.add("Conv", sketch.input("x"), sketch.weight(4, 4, 1, 1))
    assert at_last(CONV_RELU, sketch.graph(conv, sketch.add("Relu", conv))) is None


def test_readers_within_the_match_may_be_many() -> None:
    sketch = Sketch()
    x = sketch.add("Relu", sketch.input("x"))
    centred = sketch.add("Sub", x, sketch.add("ReduceMean", x, axes=(-1,)))
    squares = sketch.add("ReduceMean", sketch.add("Mul", centred, centred), axes=(-1,))
    graph = sketch.graph(sketch.add("Div", centred, sketch.add("Sqrt", squares)))
    found = at_last(SPREAD, graph)
    assert found is not None
    assert found.nodes == ("n1", "n2", "n3", "n4", "n5", "n6")
    assert found.values == {"x": x}


def test_a_name_used_twice_asks_for_one_value() -> None:
    sketch = Sketch()
    x, y = sketch.input("x"), sketch.input("y")
    sketch.add("Mul", x, y)
    graph = sketch.graph(sketch.add("Mul", x, x))
    square = node("Mul", "a", "a")
    assert match(square, graph.nodes[0], graph) is None
    assert match(square, graph.nodes[1], graph) == Match(("n1",), {"a": x})


def test_operands_are_swapped_only_where_the_pattern_says_so() -> None:
    sketch = Sketch()
    x = sketch.input("x")
    graph = sketch.graph(sketch.add("Add", x, sketch.add("Erf", x)))
    assert at_last(node("Add", node("Erf", "x"), "x"), graph) is None
    swapped = at_last(node("Add", node("Erf", "x"), "x", commutative=True), graph)
    assert swapped == Match(("n0", "n1"), {"x": x})


def test_a_scalar_matches_by_value_and_only_if_it_is_known() -> None:
    sketch = Sketch()
    x = sketch.input("x")
    known, hidden = sketch.constant(number(0.5), inline=True), sketch.constant(number(0.5))
    graph = sketch.graph(sketch.add("Mul", x, known), sketch.add("Mul", x, hidden))
    first, second = graph.nodes
    assert match(node("Mul", "x", scalar(0.5 + 1e-8, "half")), first, graph) == Match(
        ("n0",), {"x": x, "half": known}
    )
    assert match(node("Mul", "x", scalar(0.51)), first, graph) is None
    assert match(node("Mul", "x", any_scalar()), first, graph) is not None
    assert match(node("Mul", "x", any_scalar()), second, graph) is None
    assert match(node("Mul", "x", Known(lambda c: c.type.elements == 1)), second, graph) is not None
    assert match(node("Mul", any_scalar(), "x"), first, graph) is None


def test_attributes_must_be_there_with_their_value() -> None:
    sketch = Sketch()
    graph = sketch.graph(sketch.add("Softmax", sketch.input("x"), axis=1))
    assert at_last(node("Softmax", "x", axis=1), graph) is not None
    assert at_last(node("Softmax", "x", axis=2), graph) is None
    assert at_last(node("Softmax", "x", other=1), graph) is None


def test_the_number_of_inputs_counts_unless_there_are_no_args() -> None:
    sketch = Sketch()
    graph = sketch.graph(sketch.add("Conv", sketch.input("x"), sketch.weight(4, 4, 1, 1)))
    assert at_last(node("Conv", "x", "w", "b"), graph) is None
    assert at_last(node("Conv", "x", "w"), graph) is not None
    assert at_last(node("Conv", name="y"), graph) == Match(("n0",), {"y": "v0"})


def test_a_second_output_does_not_stand_for_the_node() -> None:
    sketch = Sketch()
    parts = sketch.add_many("Split", [sketch.input("x", (4,))], 2, sizes=(2, 2))
    halves = [sketch.add("Relu", part) for part in parts]
    graph = sketch.graph(*halves)
    assert at_last(node("Relu", node("Split")), graph) is None
