"""Rules of quantised operators against onnxruntime, one node each, and what they refuse."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from emu.executing.reference import onnxruntime_outputs
from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.ops.decide import HOST_ONLY
from emu.ir.types import Array
from emu.models.model import Model
from emu.models.reader import to_graph
from tests.models.small_models import floats, one_node, opened, real

RNG = np.random.default_rng(5)


def eight(dtype: str, *shape: int) -> Array:
    bounds = np.iinfo(dtype)
    return RNG.integers(bounds.min, bounds.max, shape, endpoint=True).astype(dtype)


def scale(*numbers: float) -> Array:
    return np.array(numbers if len(numbers) > 1 else sum(numbers), np.float32)


def zero(dtype: str, number: int, places: int = 0) -> Array:
    return np.array([number] * places if places else number, dtype)


def sums(*numbers: int) -> Array:
    return np.array(numbers, np.int32)


X, IMAGE = eight("uint8", 2, 3, 8), eight("uint8", 1, 4, 6, 5)
W, KERNEL = eight("int8", 8, 5), eight("int8", 3, 4, 3, 3)
CHANNELS = scale(0.01, 0.02, 0.03)
XP = [scale(0.02), zero("uint8", 120)]
YP = [scale(2.5), zero("uint8", 130)]
KP = [CHANNELS, zero("int8", 0, 3)]
PADS = {"pads": [1, 0, 1, 1], "strides": [2, 1]}
Spec = tuple[str, Sequence[Array], Sequence[Array | None], str, dict[str, Any]]
CASES: list[Spec] = [
    ("QuantizeLinear", [real(2, 3, 4)], [scale(0.05)], "ui8", {}),
    ("QuantizeLinear", [real(2, 3, 4)], [scale(0.05), zero("int8", -3)], "i8", {}),
    ("QuantizeLinear", [real(2, 3, 4)], [CHANNELS, zero("int8", 0, 3)], "i8", {"axis": 1}),
    ("QuantizeLinear", [real(9, 9)], [scale(1e-4), zero("uint16", 30000)], "ui16", {}),
    ("QuantizeLinear", [real(9, 9)], [scale(1e-4), zero("int16", 3)], "i16", {}),
    ("QuantizeLinear", [real(3)], [np.array([0.05], np.float32)], "ui8", {"axis": 0}),
    ("DequantizeLinear", [X], [scale(0.05), zero("uint8", 7)], "f32", {}),
    ("DequantizeLinear", [X], [CHANNELS], "f32", {"axis": -2}),
    ("DequantizeLinear", [sums(7, -9, 12)], [CHANNELS], "f32", {"axis": 0}),
    ("ConvInteger", [IMAGE], [eight("uint8", 2, 4, 3, 2), zero("uint8", 9)], "i32", PADS),
    ("MatMulInteger", [X], [W, zero("uint8", 100), zero("int8", 0)], "i32", {}),
    ("MatMulInteger", [X], [W], "i32", {}),
    ("QLinearConv", [IMAGE], [*XP, KERNEL, *KP, *YP], "ui8", PADS),
    ("QLinearConv", [IMAGE], [*XP, KERNEL, *KP, *YP, sums(900, -50, 7)], "ui8", {}),
    ("QLinearMatMul", [X], [*XP, W, scale(0.03), zero("int8", 0), *YP], "ui8", {}),
]


def modelled(folder: Path, spec: Spec) -> tuple[Model, dict[str, Array]]:
    op, inputs, constants, dtype, attrs = spec
    proto, fed = one_node(op, inputs, 21, constants, outputs=(dtype,), **attrs)
    return opened(folder, proto), fed


def assert_one_step_at_most(model: Model, fed: dict[str, Array]) -> Graph:
    graph = to_graph(model, {})
    (ours,), (theirs,) = (
        list(found.values()) for found in (interpret(graph, fed), onnxruntime_outputs(model, fed))
    )
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    if ours.dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        return graph
    apart = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
    assert apart.max() <= (1 if ours.itemsize == 1 else 0)
    assert np.mean(apart > 0) < 0.05  # halves that one side rounds up and the other down
    return graph


@pytest.mark.parametrize("spec", CASES, ids=lambda spec: spec[0])
def test_a_quantised_op_means_what_onnxruntime_computes(tmp_path: Path, spec: Spec) -> None:
    assert_one_step_at_most(*modelled(tmp_path, spec))


COMPUTED: list[Spec] = [
    ("MatMulInteger", [X, W, zero("uint8", 3), zero("int8", -7)], [], "i32", {}),
    ("MatMulInteger", [X, W], [zero("uint8", 100), eight("int8", 5)], "i32", {}),
    (
        "MatMulInteger",
        [X, eight("uint8", 2, 8, 5), zero("uint8", 3)],
        [zero("uint8", 9)],
        "i32",
        {},
    ),
    ("ConvInteger", [IMAGE, eight("uint8", 2, 4, 3, 2), zero("uint8", 9)], [], "i32", PADS),
    (
        "ConvInteger",
        [eight("uint8", 2, 4, 6, 5), eight("int8", 4, 1, 3, 3), zero("uint8", 200, 1)],
        [zero("int8", 5)],
        "i32",
        {"group": 4, "pads": [1, 1, 1, 1]},
    ),
]


@pytest.mark.parametrize("spec", COMPUTED, ids=lambda spec: spec[0])
def test_a_zero_point_that_is_computed_is_taken_off_the_sums(tmp_path: Path, spec: Spec) -> None:
    model, fed = modelled(tmp_path, spec)
    graph = to_graph(model, {})
    assert not [node for node in graph.nodes if node.op in HOST_ONLY]
    ours, theirs = interpret(graph, fed)["y0"], onnxruntime_outputs(model, fed)["y0"]
    np.testing.assert_array_equal(ours, theirs)


def test_each_row_has_a_zero_point_of_its_own(tmp_path: Path) -> None:
    """ONNX allows it; onnxruntime does not compute it."""
    points = eight("uint8", 3)
    model, fed = modelled(tmp_path, ("MatMulInteger", [X[0], W, points], [], "i32", {}))
    expected = (X[0].astype(int) - points[:, None].astype(int)) @ W.astype(int)
    np.testing.assert_array_equal(interpret(to_graph(model, {}), fed)["y0"], expected)


LINEAR: list[Spec] = [
    ("QuantizeLinear", [real(3, 9), scale(0.02), zero("uint8", 130)], [], "ui8", {}),
    ("QuantizeLinear", [real(3, 9), floats(0.02), zero("int8", 20, 1)], [], "i8", {}),
    ("QuantizeLinear", [real(2, 3, 4)], [CHANNELS, eight("int8", 3)], "i8", {"axis": 1}),
    ("DequantizeLinear", [X, scale(0.02), zero("uint8", 130)], [], "f32", {}),
    ("DequantizeLinear", [X], [CHANNELS, eight("uint8", 3)], "f32", {"axis": -2}),
]


@pytest.mark.parametrize("spec", LINEAR, ids=lambda spec: spec[0])
def test_a_zero_point_that_is_computed_or_differs_is_added(tmp_path: Path, spec: Spec) -> None:
    graph = assert_one_step_at_most(*modelled(tmp_path, spec))
    assert not [node for node in graph.nodes if node.op in HOST_ONLY]


@pytest.mark.parametrize("dtype", [onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT8E4M3FN])
def test_weights_of_few_bits_are_read_as_they_are_stored(tmp_path: Path, dtype: int) -> None:
    numbers = [1.0, -0.5, 3.0, 2.0] * 8
    weight = helper.make_tensor("w", dtype, (32,), numbers)
    cast = helper.make_node("Cast", ["w"], ["y"], name="cast", to=onnx.TensorProto.FLOAT)
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (32,))
    graph = helper.make_graph([cast], "few_bits", [], [output], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    assert interpret(to_graph(opened(tmp_path, model), {}), {})["y"].tolist() == numbers
