"""The reference interpreter: inputs are checked, constants are loaded, outputs come by name."""

import numpy as np
import pytest

from emu.ir.errors import BadValues
from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.types import Array
from tests.ir.passes.planting import Sketch

X = np.array([-1, 2], np.float32)


def graph() -> Graph:
    sketch = Sketch("f32")
    relu = sketch.add("Relu", sketch.input("x", (2,)))
    three = sketch.constant(np.full(2, 3, np.float32))
    return sketch.graph(relu, sketch.add("Add", relu, three))


def test_all_outputs_come_by_name() -> None:
    values = interpret(graph(), {"x": X})
    assert {name: value.tolist() for name, value in values.items()} == {"v0": [0, 2], "v1": [3, 5]}


def test_an_input_or_a_constant_may_be_an_output() -> None:
    sketch = Sketch("f32")
    x = sketch.input("x", (2,))
    values = interpret(sketch.graph(x, sketch.constant(X + 1)), {"x": X})
    assert [value.tolist() for value in values.values()] == [[-1, 2], [0, 3]]


def test_an_absent_input_is_none() -> None:
    sketch = Sketch("f32")
    x = sketch.input("x", (1, 1, 2))
    conv = sketch.add("Conv", x, sketch.constant(np.ones((1, 1, 2), np.float32)), "")
    values = interpret(sketch.graph(conv), {"x": X.reshape(1, 1, 2)})
    assert values[conv].tolist() == [[[1]]]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "input 'x' is missing; planted takes x: tensor<2xf32>"),
        ({"x": X, "y": X}, "planted has no input 'y'"),
        ({"x": X[:1]}, "input 'x' must be tensor<2xf32>, not 1 of f32"),
        ({"x": X.astype(np.float64)}, "not 2 of f64"),
        ({"x": X.astype(np.complex64)}, "not 2 of complex<f32>"),
    ],
)
def test_wrong_inputs_are_refused(inputs: dict[str, Array], reason: str) -> None:
    with pytest.raises(BadValues, match=reason):
        interpret(graph(), inputs)
