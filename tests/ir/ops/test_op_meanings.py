"""Every op means what ONNX says: each is compared with onnxruntime on small cases."""

from collections.abc import Mapping
from importlib import import_module
from math import erf
from typing import Any

import numpy as np
import pytest

from emu.ir.errors import BadValues
from emu.ir.graph import Node
from emu.ir.interpret import run_node
from emu.ir.ops import OPS
from emu.ir.passes.infer_types import output_types
from emu.ir.types import NAMES, Array, narrowed, type_of
from tests.ir.ops.exported_cases import EXPORTED
from tests.ir.ops.number_cases import NUMBER
from tests.ir.ops.op_cases import CASES, Case, real, whole

# Neither package has types.
ONNX: Any = import_module("onnx")
ONNXRUNTIME: Any = import_module("onnxruntime")
OPSET = 20
EVERY = [*CASES, *EXPORTED, *NUMBER]


def node_of(case: Case) -> Node:
    names = tuple(f"i{i}" if x is not None else "" for i, x in enumerate(case.inputs))
    outputs = tuple(f"o{i}" for i in range(case.outputs))
    return Node("n", case.op, names, outputs, case.attrs, ("n",))


def oracle(case: Case) -> list[Array]:
    """The outputs of the one-node ONNX model in onnxruntime."""
    arrays = [*case.inputs, *(case.tail or ())]
    feeds = {f"i{i}": np.asarray(x) for i, x in enumerate(arrays) if x is not None}
    names = [f"i{i}" if x is not None else "" for i, x in enumerate(arrays)]
    model = one_node(case, names, feeds)
    session = ONNXRUNTIME.InferenceSession(model, providers=["CPUExecutionProvider"])
    results: list[Any] = session.run(None, feeds)
    return [np.asarray(x) for x in results]


def onnx_attrs(case: Case) -> Mapping[str, Any]:
    if case.onnx_attrs is not None:
        return case.onnx_attrs
    return case.attrs if case.tail is None else {}


def one_node(case: Case, names: list[str], feeds: dict[str, Array]) -> bytes:
    helper = ONNX.helper
    outputs = [f"o{i}" for i in range(case.outputs)]
    graph = helper.make_graph(
        [helper.make_node(case.op, names, outputs, **onnx_attrs(case))],
        "one",
        [
            helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for k, v in feeds.items()
        ],
        [ONNX.ValueInfoProto(name=name) for name in outputs],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return data


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_an_op_means_what_onnxruntime_computes(case: Case) -> None:
    for ours, theirs in zip(run_node(node_of(case), case.inputs), oracle(case), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_the_type_rule_foretells_what_the_meaning_returns(case: Case) -> None:
    arrays = {f"i{i}": np.asarray(x) for i, x in enumerate(case.inputs) if x is not None}
    types = output_types(node_of(case), {name: type_of(x) for name, x in arrays.items()})
    assert types == tuple(type_of(x) for x in run_node(node_of(case), case.inputs))


# Emu's own ops, those of the host, and two newer than the opset of the cases.
OWN = {
    *("BiasAdd", "Relayout", "DequantizeAdd", "TopPlaces", "MaxPoolPlaces", "Onnx", "Decide"),
    *("Swish", "CumProd"),
}


def test_every_op_but_emus_own_is_compared_with_onnxruntime() -> None:
    assert OPS.keys() - {case.op for case in EVERY} == OWN


@pytest.mark.parametrize(("axis", "shape"), [(1, (1, 4, 1)), (-1, (1, 1, 4))])
def test_bias_add_adds_along_its_axis(axis: int, shape: tuple[int, ...]) -> None:
    x, b = real(4, 4, 4), real(4)
    np.testing.assert_array_equal(OPS["BiasAdd"].run(x, b, axis=axis), x + b.reshape(shape))


@pytest.mark.parametrize(
    ("attrs", "products"),
    [
        ({}, [2, 6, 24]),
        ({"reverse": 1}, [24, 12, 4]),
        ({"exclusive": 1}, [1, 2, 6]),
        ({"exclusive": 1, "reverse": 1}, [12, 4, 1]),
    ],
)
def test_running_products_by_hand(attrs: Mapping[str, int], products: list[int]) -> None:
    assert OPS["CumProd"].run(whole(2, 3, 4), **attrs).tolist() == products


def test_the_places_of_the_largest_go_by_size_and_then_by_place() -> None:
    x = whole(1, 3, 3, 0)
    assert OPS["TopPlaces"].run(x, k=3).tolist() == [1, 2, 0]
    assert OPS["TopPlaces"].run(x, k=3, largest=0).tolist() == [3, 0, 1]


@pytest.mark.parametrize(("order", "places"), [(0, [2, 8]), (1, [4, 10])])
def test_places_of_a_pool_count_the_whole_tensor(order: int, places: list[int]) -> None:
    image = np.array([[0, 0, 9], [0, 1, 2]], np.float32)
    x = np.stack([image, image])[None]
    found = OPS["MaxPoolPlaces"].run(x, kernel_shape=(2, 3), storage_order=order)
    assert found.reshape(-1).tolist() == places


def test_a_shift_by_more_bits_than_there_are_leaves_the_sign() -> None:
    x, by = np.array([-8, 8, -8, 8], np.int16), np.array([16, 99, -1, -1], np.int16)
    assert OPS["BitShift"].run(x, by, direction="RIGHT").tolist() == [-1, 0, -1, 0]
    assert OPS["BitShift"].run(x, by, direction="LEFT").tolist() == [0, 0, 0, 0]


def test_a_window_of_an_even_number_of_channels_has_one_more_behind() -> None:
    x = np.array([1, 2, 3, 4], np.float32).reshape(1, 4, 1)
    sums = np.array([1 + 4 + 9, 1 + 4 + 9 + 16, 4 + 9 + 16, 9 + 16]).reshape(1, 4, 1)
    found = OPS["LRN"].run(x, size=4, pads=(1, 2), alpha=4.0, beta=1.0, bias=0.0)
    np.testing.assert_allclose(found, x / sums, rtol=1e-6)


def test_erf_is_exact_to_the_last_bits_of_a_double() -> None:
    x = np.linspace(-8, 8, 10_001)
    exact = np.array([erf(v) for v in x.tolist()])
    np.testing.assert_allclose(OPS["Erf"].run(x), exact, rtol=0, atol=1e-15)


@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_products_of_f16_are_summed_in_f32(op: str) -> None:
    ones, sixteenth = np.ones((1, 4096), np.float16), np.full((4096, 1), 1 / 16, np.float16)
    result = OPS[op].run(ones, sixteenth)
    assert (result.dtype, float(result[0, 0])) == (np.float16, 256.0)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f8E4M3FN"])
@pytest.mark.parametrize("op", ["Mul", "Exp", "Softmax", "ReduceMean", "MatMul", "Gelu"])
def test_narrow_numbers_are_computed_in_f32_and_rounded_once(op: str, dtype: str) -> None:
    several = [narrowed(real(6, 6), dtype) for _ in range(2 if op in ("Mul", "MatMul") else 1)]
    exact = OPS[op].run(*(x.astype(np.float32) for x in several))
    found = OPS[op].run(*several)
    assert NAMES[found.dtype] == dtype
    np.testing.assert_array_equal(found, narrowed(exact, dtype))


def test_a_product_may_leave_its_sums_in_f32() -> None:
    x, w = (narrowed(real(4, 4), "bf16") for _ in range(2))
    exact = x.astype(np.float32) @ w.astype(np.float32)
    np.testing.assert_array_equal(OPS["MatMul"].run(x, w, out_dtype="f32"), exact)
    assert OPS["MatMul"].infer([type_of(x), type_of(w)], {"out_dtype": "f32"}) == (type_of(exact),)


def test_an_f8_that_is_too_large_becomes_its_largest_number() -> None:
    large = np.array([1e9, -1e9, 449, -3], np.float32)
    assert OPS["Cast"].run(large, to="f8E4M3FN").astype(float).tolist() == [448, -448, 448, -3]


def test_a_residual_is_read_as_it_is_stored() -> None:
    x, q = real(2, 3), np.array([[1, 2, 3], [-4, 0, 7]], np.int8)
    scale = np.array(0.5, np.float32)
    found = OPS["DequantizeAdd"].run(x, q, scale, zero_point=1)
    np.testing.assert_array_equal(found, x + (q.astype(np.float32) - 1) * np.float32(0.5))


def test_a_quantised_number_out_of_range_or_undefined_is_kept_within_eight_bits() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1e30], np.float32)
    found = OPS["QuantizeLinear"].run(x, np.array(1, np.float32), to="i8", zero_point=2)
    assert found.tolist() == [127, -128, 2, 127]


def test_an_index_outside_of_the_data_is_refused_with_its_node() -> None:
    case = Case("Gather", [real(5, 4), whole(5)])
    with pytest.raises(BadValues, match=r"node 'n'.*index 5 to 5 is outside of 5 entries"):
        run_node(node_of(case), case.inputs)


def test_infinities_are_results_and_no_warnings() -> None:
    zero = np.zeros(1, np.float32)
    assert float(OPS["Log"].run(zero)[0]) == -np.inf
    assert np.isnan(OPS["Div"].run(zero, zero)).all()
