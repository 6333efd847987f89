"""Graphs in f16 and bf16: the interface stays, weights are rounded late, values are near."""

import numpy as np
import pytest
from hypothesis import given, settings

from emu.ir.graph import Constant, Graph
from emu.ir.interpret import interpret
from emu.ir.passes.lower_precision import lower_precision
from emu.ir.passes.quantise import quantise
from emu.ir.types import LARGEST, NUMPY, Array, TensorType, narrowed
from tests.ir.passes.planting import Sketch, feeds, ops, planted, sources

STEP = {"f16": 2**-10, "bf16": 2**-7}


def small(dtype: str = "f32") -> Graph:
    s = Sketch(dtype)
    x = s.input("x")
    conv = s.add("Conv", x, s.weight(4, 4, 3, 3), s.weight(4), pads=(1, 1, 1, 1))
    return s.graph(s.add("Relu", conv), conv)


@pytest.mark.parametrize("dtype", STEP)
def test_all_inside_is_narrow_and_the_interface_stays(dtype: str) -> None:
    before = small()
    after = lower_precision(before, dtype).verify()
    assert ops(after) == ["Cast", "Conv", "Cast", "Relu", "Cast"]
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    assert {after.types[v].dtype for v in (*after.inputs, *after.outputs)} == {"f32"}
    inside = after.types.keys() - {*after.inputs, *after.outputs}
    assert {after.types[v].dtype for v in inside} == {dtype}
    assert sources(after) == sources(before)


@pytest.mark.parametrize("dtype", STEP)
def test_values_are_those_of_f32_up_to_rounding(dtype: str) -> None:
    before = small()
    wanted = interpret(before, feeds(before))
    found = interpret(lower_precision(before, dtype), feeds(before))
    for name, value in wanted.items():
        limit = 4 * STEP[dtype] * float(np.abs(value).max())
        np.testing.assert_allclose(found[name], value, rtol=0, atol=limit)


@settings(deadline=None, max_examples=15)
@given(planted(lambda sketch, x: sketch.add("Mul", x, sketch.weight(4, 1, 1))))
def test_what_is_not_f32_stays_as_it_is(graph: Graph) -> None:
    assert lower_precision(graph, "bf16").nodes == graph.nodes  # it is in f64


def test_no_weight_is_loaded_until_somebody_reads_it() -> None:
    def never() -> Array:
        raise AssertionError("loaded")

    s = Sketch("f32")
    x = s.input("x", (2, 4))
    s.types["w"] = TensorType("f32", (4, 3))
    s.constants["w"] = Constant(s.types["w"], "w", never)
    graph = s.graph(s.add("MatMul", x, "w"))
    assert lower_precision(graph, "f16").constants["w"].type.dtype == "f16"
    eight = quantise(graph, "i8", lambda graph, names: {})
    assert {c.type.dtype for c in eight.constants.values()} == {"f32", "i8"}


@pytest.mark.parametrize("dtype", STEP)
def test_a_number_of_a_mask_stays_finite(dtype: str) -> None:
    s = Sketch("f32")
    least = float(np.finfo(np.float32).min)
    mask = s.constant(np.array([0.0, least, -np.inf]), inline=True)
    graph = s.graph(s.add("Add", s.input("x", (2, 3)), mask))
    found = lower_precision(graph, dtype).constants[mask]
    assert found.inline is not None
    assert found.inline.astype(float).tolist() == [0.0, -LARGEST[dtype], -np.inf]
    np.testing.assert_array_equal(found.load(), found.inline)


def test_a_cast_to_f32_becomes_one_to_the_narrow_type() -> None:
    s = Sketch("f32")
    real = s.add("Cast", s.input("ids", (2, 3), "i64"), to="f32")
    graph = s.graph(s.add("Relu", real))
    lowered = lower_precision(graph, "f16")
    assert [node.attrs.get("to") for node in lowered.nodes] == ["f16", None, "f32"]


def test_scales_and_sums_of_products_keep_their_own_type() -> None:
    s = Sketch("f32")
    scale = s.constant(np.array(0.25), inline=True)
    q = s.add("QuantizeLinear", s.input("x", (2, 4)), scale, to="f8E4M3FN")
    weight = s.add("QuantizeLinear", s.input("w", (4, 3)), scale, to="f8E4M3FN")
    sums = s.add("MatMul", q, weight, out_dtype="f32")
    graph = s.graph(s.add("Relu", s.add("DequantizeLinear", sums, scale, to="f32")))
    lowered = lower_precision(graph, "bf16").verify()
    assert (lowered.types[scale].dtype, lowered.types[sums].dtype) == ("f32", "f32")
    relu = next(node for node in lowered.nodes if node.op == "Relu")
    assert lowered.types[relu.inputs[0]].dtype == "bf16"


def test_rounding_is_to_the_nearest_and_halves_go_to_even() -> None:
    halves = np.array([1 + 2**-8, 1 + 3 * 2**-8], np.float32)
    assert narrowed(halves, "bf16").astype(float).tolist() == [1.0, 1 + 2**-6]
    assert narrowed(halves, "bf16").dtype == NUMPY["bf16"]
