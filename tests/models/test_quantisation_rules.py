"""Rules of quantised operators against onnxruntime, one node each, and what they refuse."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import Unsupported, UnsupportedOp
from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.types import Array
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.rules.quantisation import MICROSOFT
from tests.models.small_models import one_node, opened, real

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
FOREIGN: list[Spec] = [
    ("QLinearAdd", [X], [*XP, eight("uint8", 3, 1), *YP, scale(3.0), zero("uint8", 99)], "ui8", {}),
    ("QLinearMul", [X], [*XP, eight("uint8", 8), *XP, scale(0.1), zero("uint8", 99)], "ui8", {}),
    ("QLinearGlobalAveragePool", [IMAGE], [*XP, scale(0.01), zero("uint8", 128)], "ui8", {}),
    (
        "QGemm",
        [X[0]],
        [*XP, W.T.copy(), scale(0.1, 0.2, 0.1, 0.3, 0.1), zero("int8", 0, 5), None, *YP],
        "ui8",
        {"transB": 1},
    ),
    (
        "QGemm",
        [X[0]],
        [*XP, W, scale(0.1), zero("int8", 0), sums(1, 2, 3, -400, 50)],
        "f32",
        {},
    ),
]


def modelled(folder: Path, spec: Spec, domain: str = "") -> tuple[Model, dict[str, Array]]:
    op, inputs, constants, dtype, attrs = spec
    proto, fed = one_node(op, inputs, 19, constants, outputs=(dtype,), **attrs)
    if domain:
        proto.graph.node[0].domain = domain
        proto.opset_import.append(helper.make_opsetid(domain, 1))
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


@pytest.mark.parametrize("spec", FOREIGN, ids=lambda spec: spec[0])
def test_an_op_of_onnxruntimes_own_quantiser_means_what_it_computes(
    tmp_path: Path, spec: Spec
) -> None:
    assert_one_step_at_most(*modelled(tmp_path, spec, "com.microsoft"))


def test_every_op_of_a_foreign_domain_is_compared() -> None:
    assert {spec[0] for spec in FOREIGN} == set(MICROSOFT)


def test_a_foreign_op_is_known_in_its_own_domain_only(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOp, match=r"op 'QLinearAdd' of domain 'ai\.onnx'"):
        to_graph(modelled(tmp_path, FOREIGN[0])[0], {})
    with pytest.raises(UnsupportedOp, match=r"op 'QLinearConv' of domain 'com\.microsoft'"):
        to_graph(modelled(tmp_path, CASES[10], "com.microsoft")[0], {})


REFUSED: list[tuple[Spec, str, str]] = [
    ((*FOREIGN[3][:4], {"transA": 1}), "com.microsoft", "transA and alpha"),
    ((*FOREIGN[2][:4], {"channels_last": 1}), "com.microsoft", "channels_last"),
]


@pytest.mark.parametrize(("spec", "domain", "why"), REFUSED, ids=lambda value: str(value)[:25])
def test_what_is_not_supported_is_refused_with_the_node(
    tmp_path: Path, spec: Spec, domain: str, why: str
) -> None:
    with pytest.raises(UnsupportedOp, match=f"node 'the_node.*{why}"):
        to_graph(modelled(tmp_path, spec, domain)[0], {})


def test_a_zero_point_that_is_computed_is_refused(tmp_path: Path) -> None:
    proto, _ = one_node("MatMulInteger", [X, W, zero("uint8", 3)], 19, outputs=("i32",))
    with pytest.raises(Unsupported, match=r"the zero point \('x2'\) is not a constant"):
        to_graph(opened(tmp_path, proto), {})


@pytest.mark.parametrize("dtype", [onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT8E4M3FN])
def test_weights_of_few_bits_are_read_as_they_are_stored(tmp_path: Path, dtype: int) -> None:
    numbers = [1.0, -0.5, 3.0, 2.0] * 8
    weight = helper.make_tensor("w", dtype, (32,), numbers)
    cast = helper.make_node("Cast", ["w"], ["y"], name="cast", to=onnx.TensorProto.FLOAT)
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (32,))
    graph = helper.make_graph([cast], "few_bits", [], [output], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    assert interpret(to_graph(opened(tmp_path, model), {}), {})["y"].tolist() == numbers
