"""Ops of scikit-learn's exports that onnx's reference lacks or has wrong, by onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import emu
from emu.executing.values import compare
from emu.ir.errors import BadValues
from emu.ir.ops.onnx_ml import DOMAIN, coupled
from emu.ir.ops.onnx_node import evaluated, node_as_text
from emu.ir.ops.tokenizer import DOMAIN as TOKENS
from emu.ir.types import Array
from tests.models.small_models import node, proto, real, saved, unshaped, value

RNG = np.random.default_rng(4)
X = real(4, 3)


def saved_as(
    path: Path, made: onnx.NodeProto, x: Array, *outputs: onnx.ValueInfoProto, domain: str = DOMAIN
) -> Path:
    made.domain = domain
    kind = {"f": "f32", "i": "i64", "O": "string"}[x.dtype.kind]
    model = proto([made], [value("x", x.shape, kind)], outputs, opset=18)
    model.opset_import.append(helper.make_opsetid(domain, 3 if domain == DOMAIN else 1))
    return saved(path / "m.onnx", model)


def outputs(path: Path, x: Array) -> Mapping[str, Any]:
    """What emu computes, which is as onnxruntime has it."""
    run = emu.compile(path, samples={"x": x}).run({"x": x})
    assert run.check is not None
    assert run.check.ok, str(run.check)
    assert run.outputs is not None
    return run.outputs


def maps(key: int) -> onnx.ValueInfoProto:
    number = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    entries = helper.make_map_type_proto(key, number)
    return helper.make_value_info("y", helper.make_sequence_type_proto(entries))


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ({"classlabels_int64s": [7, 8, 9]}, TensorProto.INT64),
        ({"classlabels_strings": ["a", "b", "c"]}, TensorProto.STRING),
    ],
)
def test_rows_become_maps_from_labels(tmp_path: Path, labels: dict[str, Any], key: int) -> None:
    path = saved_as(tmp_path, node("ZipMap", ["x"], "y", **labels), X, maps(key))
    (wanted,) = labels.values()
    assert [list(row) for row in outputs(path, X)["y"]] == [wanted] * 4


def test_a_map_with_another_number_is_seen_with_its_key() -> None:
    ours: Any = {"y": [{1: np.float32(0.5), 2: np.float32(0.5)}]}
    theirs: Any = {"y": [{1: np.float32(0.5), 2: np.float32(0.75)}]}
    assert compare(ours, ours).ok
    assert compare(ours, theirs).max_abs_error == 0.25
    other: Any = {"y": [{1: np.float32(0.5)}]}
    assert not compare(ours, other).ok


def test_as_many_labels_as_columns(tmp_path: Path) -> None:
    made = node("ZipMap", ["x"], "y", classlabels_int64s=[1, 2])
    path = saved_as(tmp_path, made, X, maps(TensorProto.INT64))
    with pytest.raises(BadValues, match="3 columns for 2 labels"):
        emu.compile(path, samples={"x": X})


@pytest.mark.parametrize(
    ("x", "to"), [(np.array([2, 5, 9]), "string"), (np.array(["b", "?", "a"], object), "i64")]
)
def test_words_and_numbers_of_categories(tmp_path: Path, x: Array, to: str) -> None:
    lists: dict[str, Any] = {"cats_int64s": [2, 9], "cats_strings": ["a", "b"]}
    made = node("CategoryMapper", ["x"], "y", default_int64=-4, default_string="none", **lists)
    path = saved_as(tmp_path, made, x, unshaped("y", to))
    outputs(path, x)


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({}, np.array([[0.5, 2.0]], np.float32)),
        ({"map_form": "SPARSE", "max_map": 4}, np.array([[0, 0.5, 0, 2.0]], np.float32)),
        ({"cast_to": "TO_INT64"}, np.array([[0, 2]])),
        ({"cast_to": "TO_STRING", "map_form": "SPARSE", "max_map": 2}, np.array([["", "0.5"]])),
    ],
)
def test_a_map_of_places_becomes_a_row(attrs: dict[str, Any], expected: Array) -> None:
    (row,) = of_map({3: 2.0, 1: 0.5}, **attrs)
    assert row.tolist() == expected.tolist()


def of_map(entries: dict[int, float], **attrs: Any) -> tuple[Any, ...]:
    made = node("CastMap", ["x"], "y", **attrs)
    made.domain = DOMAIN
    return evaluated(node_as_text(made), 1, (entries,))


def test_a_map_is_cast_to_what_there_is() -> None:
    with pytest.raises(BadValues, match="cast_to is TO_BOOL"):
        of_map({0: 1.0}, cast_to="TO_BOOL")


def support_vectors(classes: int) -> dict[str, Any]:
    pairs, each = classes * (classes - 1) // 2, 3
    many = classes * each
    return {
        "classlabels_ints": list(range(classes)),
        "coefficients": RNG.standard_normal((classes - 1) * many).astype(np.float32),
        "kernel_params": [0.3, 0.0, 3.0],
        "kernel_type": "RBF",
        "post_transform": "NONE",
        "prob_a": (-1 - RNG.random(pairs)).astype(np.float32),
        "prob_b": RNG.standard_normal(pairs).astype(np.float32),
        "rho": RNG.standard_normal(pairs).astype(np.float32),
        "support_vectors": RNG.standard_normal(many * 3).astype(np.float32),
        "vectors_per_class": [each] * classes,
    }


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_probabilities_of_support_vectors_are_those_of_libsvm(tmp_path: Path, classes: int) -> None:
    made = node("SVMClassifier", ["x"], "label", "y", **support_vectors(classes))
    path = saved_as(tmp_path, made, X, unshaped("label", "i64"), unshaped("y"))
    np.testing.assert_allclose(outputs(path, X)["y"].sum(axis=1), 1, rtol=1e-5)


def test_equal_chances_of_pairs_are_equal_chances() -> None:
    np.testing.assert_allclose(coupled(np.full((4, 4), 0.5)), 0.25)


TEXTS = np.array(["a cat sat", "", "dog"], object)


@pytest.mark.parametrize(
    ("attrs", "texts"),
    [
        ({"tokenexp": "[a-z]+"}, TEXTS),
        ({"tokenexp": "[a-z]+", "mark": 1, "mincharnum": 2}, TEXTS[None]),
        ({"tokenexp": "[0-9]+", "mark": 1}, TEXTS),
        ({"separators": [" ", "t"]}, TEXTS),
        ({"separators": [""]}, TEXTS[None]),
    ],
)
def test_texts_are_cut_into_tokens(tmp_path: Path, attrs: dict[str, Any], texts: Array) -> None:
    usual: dict[str, Any] = {"mark": 0, "mincharnum": 1, "pad_value": "#"}
    made = node("Tokenizer", ["x"], "y", **(usual | attrs))
    path = saved_as(tmp_path, made, texts, unshaped("y", "string"), domain=TOKENS)
    outputs(path, texts)
