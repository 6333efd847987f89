"""Ops of onnxruntime's own domain against onnxruntime, one node each, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from emu.ir.errors import ModelError, Unsupported, UnsupportedOp
from emu.ir.types import Array
from emu.models.microsoft.table import DOMAIN, FUNCTIONS
from emu.models.reader import to_graph
from tests.models.foreign_ops import Spec, compare, modelled
from tests.models.small_models import floats, node, opened, proto, real, unshaped, value
from tests.models.test_microsoft_attention import CASES as OTHERS

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


def index(*numbers: int) -> Array:
    return np.array([numbers], np.int32)


X, IMAGE, A = eight("uint8", 2, 3, 8), eight("uint8", 1, 4, 6, 5), real(2, 3, 8)
W, PICTURE, KERNEL = eight("int8", 8, 5), real(1, 4, 6, 5), real(3, 4, 3, 3, seed=1)
XP = [scale(0.02), zero("uint8", 120)]
YP = [scale(0.04), zero("uint8", 130)]
WP = [scale(0.01), zero("int8", 0)]
COLUMNS = [scale(0.1, 0.2, 0.1, 0.3, 0.1), zero("int8", 0, 5)]
HALF = [scale(1 / 256), zero("uint8", 0)]
PADS = {"pads": [1, 0, 1, 1], "strides": [2, 1]}
POOL = {"kernel_shape": [2, 3], "pads": [0, 1, 0, 1], "strides": [2, 1]}
ROW, BIAS = real(8, seed=3), real(8, seed=4)
IDS, TABLE = index(3, 0, 6, 6), real(7, 8, seed=5)

CASES: list[Spec] = [
    ("Gelu", [A], [], "f32", {}),
    ("BiasGelu", [A], [BIAS], "f32", {}),
    ("FastGelu", [A], [], "f32", {}),
    ("FastGelu", [A], [BIAS], "f32", {}),
    ("QuickGelu", [A], [], "f32", {}),
    ("QuickGelu", [A], [], "f32", {"alpha": 0.8}),
    ("FusedConv", [PICTURE], [KERNEL, floats(1, 2, -9)], "f32", {"activation": "Relu", **PADS}),
    (
        "FusedConv",
        [PICTURE],
        [KERNEL, None, real(1, 3, 4, 3)],
        "f32",
        {"activation": "Clip", "activation_params": [-0.5, 1.5]},
    ),
    (
        "FusedConv",
        [PICTURE],
        [KERNEL],
        "f32",
        {"activation": "LeakyRelu", "activation_params": [0.3]},
    ),
    ("FusedConv", [PICTURE], [KERNEL], "f32", {"activation": "Sigmoid"}),
    ("FusedConv", [PICTURE], [KERNEL], "f32", {"activation": "Tanh"}),
    (
        "FusedConv",
        [PICTURE],
        [KERNEL],
        "f32",
        {"activation": "HardSigmoid", "activation_params": [0.1, 0.4]},
    ),
    (
        "FusedGemm",
        [A[0]],
        [real(5, 8), real(5)],
        "f32",
        {"transB": 1, "alpha": 0.5, "beta": 2.0, "activation": "Relu"},
    ),
    (
        "FusedGemm",
        [A[0]],
        [real(8, 5)],
        "f32",
        {"activation": "LeakyRelu", "activation_alpha": 0.2},
    ),
    ("FusedMatMul", [A], [real(8, 5)], "f32", {"alpha": 0.25}),
    ("FusedMatMul", [A, real(2, 3, 5)], [], "f32", {"transA": 1}),
    ("FusedMatMul", [A, real(2, 5, 8)], [], "f32", {"transB": 1}),
    ("FusedMatMul", [real(3, 2, 4, 8), real(2, 4, 8, 5)], [], "f32", {"transBatchA": 1}),
    (
        "FusedMatMul",
        [real(3, 2, 8), real(2, 5, 3)],
        [],
        "f32",
        {"transBatchA": 1, "transA": 1, "transB": 1},
    ),
    ("TransposeMatMul", [A, real(2, 5, 8)], [], "f32", {"transB": 1, "alpha": 2.0}),
    ("SkipLayerNormalization", [A, real(2, 3, 8, seed=1)], [ROW, BIAS], "f32", {"epsilon": 1e-5}),
    ("SkipLayerNormalization", [A, real(3, 8, seed=1)], [ROW, None, BIAS], "f32 - - f32", {}),
    ("SkipSimplifiedLayerNormalization", [A, real(2, 3, 8, seed=1)], [ROW], "f32", {}),
    (
        "SkipSimplifiedLayerNormalization",
        [A, real(1, 3, 8, seed=1)],
        [ROW, BIAS],
        "f32 - - f32",
        {"epsilon": 1e-3},
    ),
    (
        "EmbedLayerNormalization",
        [IDS],
        [index(0, 1, 1, 0), TABLE, real(6, 8), real(2, 8), ROW, BIAS, index(1, 3, 1, 0)],
        "f32 i32 f32",
        {"epsilon": 1e-5},
    ),
    (
        "EmbedLayerNormalization",
        [IDS],
        [None, TABLE, real(6, 8), None, ROW, BIAS, None, index(5, 4, 3, 2)],
        "f32 i32",
        {},
    ),
    ("QuantizeLinear", [A], [scale(0.05), zero("int8", -3)], "i8", {}),
    ("QuantizeLinear", [A], [scale(0.001), zero("uint16", 1000)], "ui16", {}),
    ("QuantizeLinear", [A], [scale(0.01, 0.02, 0.03), zero("int8", 0, 3)], "i8", {"axis": 1}),
    ("DequantizeLinear", [X], [scale(0.05), zero("uint8", 7)], "f32", {}),
    ("DequantizeLinear", [eight("int16", 3, 4)], [scale(0.05), zero("int16", 7)], "f32", {}),
    (
        "QLinearAdd",
        [X],
        [*XP, eight("uint8", 3, 1), *YP, scale(0.05), zero("uint8", 99)],
        "ui8",
        {},
    ),
    ("QLinearMul", [X], [*XP, eight("uint8", 8), *XP, scale(0.1), zero("uint8", 99)], "ui8", {}),
    ("QLinearWhere", [X > 100], [X, *XP, X.copy(), *YP, *XP], "ui8", {}),
    ("QLinearSigmoid", [X], [*XP, *HALF], "ui8", {}),
    ("QLinearLeakyRelu", [X], [*XP, *YP], "ui8", {"alpha": 0.2}),
    ("QLinearSoftmax", [X], [*XP, *HALF], "ui8", {"opset": 13, "axis": -1}),
    ("QLinearSoftmax", [X], [*XP, *HALF], "ui8", {"opset": 11, "axis": 1}),
    ("QLinearAveragePool", [IMAGE], [*XP, *YP], "ui8", POOL),
    ("QLinearAveragePool", [IMAGE], [*XP, *YP], "ui8", {**POOL, "count_include_pad": 1}),
    ("QLinearGlobalAveragePool", [IMAGE], [*XP, *YP], "ui8", {"channels_last": 0}),
    ("QGemm", [X[0]], [*XP, W.T.copy(), *COLUMNS, None, *YP], "ui8", {"transB": 1}),
    ("QGemm", [X[0].T.copy()], [*XP, W, *WP], "f32", {"transA": 1, "alpha": 0.5}),
    ("QGemm", [X[0]], [*XP, W, *WP, sums(1, 2, 3, -400, 50)], "f32", {}),
    ("MatMulIntegerToFloat", [X], [W, XP[0], COLUMNS[0], XP[1], COLUMNS[1], real(5)], "f32", {}),
    ("MatMulIntegerToFloat", [X], [W, XP[0], WP[0]], "f32", {}),
    ("DynamicQuantizeMatMul", [A], [W, *COLUMNS, real(5)], "f32", {}),
    ("DynamicQuantizeMatMul", [A], [W, WP[0]], "f32", {}),
]
SIMPLIFIED = ("SimplifiedLayerNormalization", [A], [ROW], "f32 -", {"axis": -1, "epsilon": 1e-4})


@pytest.mark.parametrize("spec", CASES, ids=lambda spec: spec[0])
def test_an_op_of_onnxruntime_means_what_it_computes(tmp_path: Path, spec: Spec) -> None:
    compare(*modelled(tmp_path, spec))


def test_a_norm_without_a_domain_is_known_though_onnx_has_none_of_that_name(tmp_path: Path) -> None:
    compare(*modelled(tmp_path, SIMPLIFIED, ""))


def test_quantised_parts_are_joined_each_by_its_own_scale(tmp_path: Path) -> None:
    joined = node("QLinearConcat", ["s", "z", "x", "s", "z", "c", "t", "z"], "y", axis=1)
    joined.domain = DOMAIN
    known = {"s": XP[0], "z": XP[1], "t": YP[0], "c": X[:, :1]}
    made = proto([joined], [value("x", X.shape, "ui8")], [unshaped("y", "ui8")], known)
    made.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    compare(opened(tmp_path, made), {"x": X})


def test_every_function_is_compared() -> None:
    compared = {spec[0] for spec in (*CASES, *OTHERS)}
    assert compared | {"QLinearConcat"} == set(FUNCTIONS)


def test_a_foreign_op_is_known_in_its_own_domain_only(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOp, match=r"op 'BiasGelu' of domain 'ai\.onnx'"):
        to_graph(modelled(tmp_path, CASES[1], "")[0], {})
    with pytest.raises(UnsupportedOp, match=r"op 'SimplifiedLayer.*' of domain 'com\.microsoft'"):
        to_graph(modelled(tmp_path, SIMPLIFIED)[0], {})


REFUSED: list[tuple[Spec, str]] = [
    (("FusedConv", [PICTURE], [KERNEL], "f32", {"activation": "Mish"}), "activation 'Mish'"),
    (
        (
            "FusedConv",
            [PICTURE],
            [KERNEL],
            "f32",
            {"activation": "Relu", "activation_params": [1.0]},
        ),
        "Relu with 1 parameters",
    ),
    (
        ("QLinearGlobalAveragePool", [IMAGE], [*XP, *YP], "ui8", {"channels_last": 1}),
        "channels_last",
    ),
    (("Gelu", [A], [], "f32", {"sharpness": 2}), "attribute 'sharpness'"),
    (("SkipLayerNormalization", [A, A.copy()], [ROW], "f32 f32", {}), "the output 'y1'"),
    (
        (
            "EmbedLayerNormalization",
            [IDS],
            [None, TABLE, TABLE, None, ROW, BIAS],
            "f32 i32",
            {"mask_index_type": 1},
        ),
        "mask_index_type",
    ),
    (("SimplifiedLayerNormalization", [A], [ROW], "f32", {"stash_type": 10}), "stash_type"),
]


@pytest.mark.parametrize(("spec", "why"), REFUSED, ids=lambda value: str(value)[:25])
def test_what_is_not_supported_is_refused_with_the_node(
    tmp_path: Path, spec: Spec, why: str
) -> None:
    domain = "" if spec[0] == "SimplifiedLayerNormalization" else DOMAIN
    with pytest.raises(UnsupportedOp, match=f"node 'the_node.*{why}"):
        to_graph(modelled(tmp_path, spec, domain)[0], {})


@pytest.mark.parametrize("op", FUNCTIONS)
def test_an_op_without_inputs_is_an_error_in_the_file(tmp_path: Path, op: str) -> None:
    """Whatever of it is missing first, a line says so."""
    attrs = {"num_heads": 2, "kv_num_heads": 2, "N": 1, "K": 16, "block_size": 16}
    with pytest.raises((Unsupported, ModelError), match="node 'the_node"):
        to_graph(modelled(tmp_path, (op, [], [], "f32", attrs))[0], {})
    with pytest.raises((Unsupported, ModelError), match="node 'the_node"):
        to_graph(modelled(tmp_path, (op, [floats(1)], [], "i1", attrs))[0], {})


@pytest.mark.checkout
def test_the_documentation_names_every_function() -> None:
    text = (Path(__file__).parents[2] / "docs" / "your-own-models.md").read_text()
    assert [name for name in FUNCTIONS if f"`{name}`" not in text] == []
