"""Static quantisation: where eight bits are put in, which scales they have, what follows."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.passes.integer_products import integer_products
from emu.ir.passes.quantise import quantise
from emu.ir.types import Array
from tests.ir.passes.planting import Sketch, feeds, ops, sources

POOL = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "strides": (1, 1)}


def residual() -> Graph:
    """conv, pool, conv, and a sum with what the pool made."""
    s = Sketch("f32")
    first = s.add("Relu", conv(s, s.input("x")))
    pooled = s.add("MaxPool", first, **POOL)
    return s.graph(s.add("Add", conv(s, pooled), pooled))


def conv(s: Sketch, x: str) -> str:
    return s.add("Conv", x, s.weight(4, 4, 3, 3), s.weight(4), pads=(1, 1, 1, 1))


def observed(graph: Graph, names: tuple[str, ...]) -> Mapping[str, float]:
    inside = tuple(v for v in names if v not in graph.inputs)
    values = {**feeds(graph), **interpret(replace(graph, outputs=inside), feeds(graph))}
    return {v: float(np.abs(values[v]).max()) for v in names}


@pytest.mark.parametrize(("dtype", "product"), [("i8", "ConvInteger"), ("f8E4M3FN", "Conv")])
def test_products_are_of_eight_bits_and_residuals_are_read_in_them(
    dtype: str, product: str
) -> None:
    before = residual()
    qdq = quantise(before, dtype, observed).verify()
    assert ops(qdq).count("Conv") == 2
    after = integer_products(qdq).verify()
    assert ops(after) == [
        *("QuantizeLinear", product, "DequantizeLinear", "BiasAdd", "Relu"),
        *("QuantizeLinear", "MaxPool", product, "DequantizeLinear", "BiasAdd", "DequantizeAdd"),
    ]
    assert sources(after) == sources(before)
    pool = next(node for node in after.nodes if node.op == "MaxPool")
    assert after.types[pool.output].dtype == dtype


@pytest.mark.parametrize("dtype", ["i8", "f8E4M3FN"])
def test_products_of_eight_bits_are_those_of_the_qdq_form(dtype: str) -> None:
    qdq = quantise(residual(), dtype, observed)
    wanted, found = (interpret(g, feeds(g)) for g in (qdq, integer_products(qdq)))
    for name, value in wanted.items():
        step = float(np.abs(value).max()) / 127
        np.testing.assert_allclose(found[name], value, rtol=0, atol=step)
        assert np.mean(np.abs(found[name] - value) > 1e-4 * step) < 0.02


def test_weights_have_a_symmetric_scale_for_each_channel() -> None:
    qdq = quantise(residual(), "i8", observed)
    weight = qdq.constants["c0.i8"].load()
    scale = qdq.constants["c0.scale"].load()
    real: Array = residual().constants["c0"].load()
    assert (weight.dtype, scale.shape) == (np.int8, (4,))
    np.testing.assert_array_equal(np.abs(weight.astype(int)).max(axis=(1, 2, 3)), [127] * 4)
    placed = scale[:, None, None, None]
    np.testing.assert_allclose(weight * placed, real, rtol=0, atol=float(scale.max()) / 2 + 1e-6)


def test_eight_bits_with_an_exponent_have_one_scale_a_weight() -> None:
    qdq = quantise(residual(), "f8E4M3FN", observed)
    assert qdq.constants["c0.scale"].type.shape == ()
    assert float(np.abs(qdq.constants["c0.f8E4M3FN"].load().astype(np.float32)).max()) == 448


def test_nothing_is_observed_until_a_scale_is_loaded_and_then_once() -> None:
    asked: list[tuple[str, ...]] = []

    def watching(graph: Graph, names: tuple[str, ...]) -> Mapping[str, float]:
        asked.append(names)
        return observed(graph, names)

    qdq = integer_products(quantise(residual(), "i8", watching))
    assert asked == []
    interpret(qdq, feeds(qdq))
    assert len(asked) == 1


def test_a_value_of_zeros_has_the_scale_one() -> None:
    qdq = quantise(residual(), "i8", lambda graph, names: dict.fromkeys(names, 0.0))
    assert {float(qdq.constants[v].load()) for v in ("x.scale",)} == {1.0}


def test_products_without_a_constant_weight_stay() -> None:
    s = Sketch("f32")
    graph = s.graph(s.add("MatMul", s.input("a", (2, 3)), s.input("b", (3, 2))))
    assert quantise(graph, "i8", observed).nodes == graph.nodes


def gemm(turned: int, **attrs: float) -> Graph:
    s = Sketch("f32")
    weight = s.weight(5, 4) if turned else s.weight(4, 5)
    return s.graph(s.add("Gemm", s.input("x", (3, 4)), weight, s.weight(5), transB=turned, **attrs))


@pytest.mark.parametrize("turned", [0, 1])
def test_a_gemm_becomes_a_product_of_integers_with_its_weight_turned(turned: int) -> None:
    qdq = quantise(gemm(turned), "i8", observed)
    after = integer_products(qdq)
    assert ops(after) == ["QuantizeLinear", "MatMulInteger", "DequantizeLinear", "Add"]
    (name,) = after.outputs
    wanted, found = (interpret(g, feeds(g))[name] for g in (qdq, after))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_gemm_with_a_factor_stays_a_product_of_real_numbers() -> None:
    after = integer_products(quantise(gemm(0, alpha=0.5), "i8", observed))
    assert ops(after)[-1] == "Gemm"
