"""Each spelling: its own pattern is planted between random strangers, and the values stay."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.passes import DEFAULT_PASSES, run_passes
from emu.ir.spellings import SIMPLE, SPELLINGS, respell
from emu.ir.types import Array, type_of
from tests.ir.passes.planting import Plant, Sketch, feeds, ops, planted, sources

TURN = (0, 2, 3, 1)


def number(sketch: Sketch, value: float) -> str:
    return sketch.constant(np.array(value), inline=True, key=f"number {value}")


def division(sketch: Sketch, x: str) -> str:
    halved = sketch.add("Div", x, number(sketch, 3.0))
    return sketch.add("Div", halved, sketch.weight(4, 1, 1, positive=True))


def scale(sketch: Sketch, x: str) -> str:
    flip = len(sketch.nodes) % 2
    operands = (sketch.weight(5, 5), x) if flip else (x, sketch.weight(5, 5))
    product = sketch.add("MatMul", *operands)
    return sketch.add("Mul" if flip else "Div", product, number(sketch, 8.0))


def operands(sketch: Sketch, x: str) -> str:
    return sketch.add("Max", sketch.add("Add", x, sketch.weight(5)), sketch.add("Neg", x))


def gelu(sketch: Sketch, x: str) -> str:
    inner = sketch.add("Erf", sketch.add("Div", x, number(sketch, sqrt(2))))
    gate = sketch.add("Add", inner, number(sketch, 1.0))
    half = number(sketch, 0.5)
    if len(sketch.nodes) % 2:
        return sketch.add("Mul", half, sketch.add("Mul", x, gate))
    return sketch.add("Mul", gate, sketch.add("Mul", x, half))


def square(sketch: Sketch, x: str) -> str:
    return sketch.add("Pow", x, number(sketch, 2.0))


def packed(sketch: Sketch, x: str) -> str:
    biased = len(sketch.nodes) % 2
    parts = [sketch.add("MatMul", x, sketch.weight(5, n)) for n in (5, 1, 5)]
    if biased:
        parts = [
            sketch.add("Add", p, sketch.weight(n)) for p, n in zip(parts, (5, 1, 5), strict=True)
        ]
    return sketch.add("Sub", sketch.add("Mul", parts[0], parts[1]), parts[2])


def gemm(sketch: Sketch, x: str) -> str:
    flat = sketch.add("Reshape", x, shape=(20, 5))
    turned = len(sketch.nodes) % 2
    weight = sketch.weight(5, 5)
    made = sketch.add("Gemm", flat, weight, sketch.weight(5), transB=turned)
    return sketch.add("Reshape", made, shape=(1, 4, 5, 5))


def bias(sketch: Sketch, x: str) -> str:
    flat = sketch.add("Reshape", x, shape=(4, 25))
    if len(sketch.nodes) % 2:
        added = sketch.add("Add", flat, sketch.weight(25))
        return sketch.add("Reshape", added, shape=(1, 4, 5, 5))
    cut = sketch.add("Reshape", flat, shape=(1, 4, 5, 5))
    return sketch.add("Add", sketch.weight(5, 5), cut)


def transpose(sketch: Sketch, x: str) -> str:
    if len(sketch.nodes) % 2:
        added = sketch.add("Add", x, sketch.weight(4, 1, 1))
        turned = sketch.add("Transpose", added, perm=TURN)
    else:
        turned = sketch.add("Relu", sketch.add("Transpose", x, perm=TURN))
    return sketch.add("Transpose", sketch.add("Sub", turned, turned), perm=(0, 3, 1, 2))


def reciprocal(sketch: Sketch, x: str) -> str:
    root = sketch.add("Sqrt", sketch.add("Exp", x))
    return sketch.add("Div", x, root)


def relu(sketch: Sketch, x: str) -> str:
    return sketch.add("Relu", x)


PLANTS: dict[str, Plant] = {
    "division": division,
    "scale": scale,
    "operands": operands,
    "gelu-constant": gelu,
    "square": square,
    "packed": packed,
    "gemm": gemm,
    "bias": bias,
    "transpose": transpose,
    "reciprocal": reciprocal,
    "relu": relu,
}


def assert_equal(before: Graph, after: Graph) -> None:
    """Equal interfaces, types, values and sources."""
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    assert sources(after) == sources(before)
    wanted, found = interpret(before, feeds(before)), interpret(after, feeds(before))
    for name, value in wanted.items():
        assert after.types[name] == type_of(value)
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=1e-9)


def test_every_spelling_has_a_plant_and_the_five_simple_ones_come_first() -> None:
    assert set(PLANTS) == set(SPELLINGS)
    assert SIMPLE == ("division", "scale", "operands", "gelu-constant", "square")
    assert tuple(SPELLINGS)[:5] == SIMPLE


@pytest.mark.parametrize("name", SPELLINGS)
@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_a_spelling_finds_its_pattern_and_keeps_every_value(name: str, data: st.DataObject) -> None:
    before = data.draw(planted(PLANTS[name]))
    after = respell(before, SPELLINGS[name])

    assert_equal(before, after.graph)


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_planted_pattern_is_respelled_and_so_it_survives_the_passes(
    name: str, parity: int
) -> None:
    sketch = Sketch()
    x = sketch.add("Sigmoid", sketch.input("x"))
    for _ in range(parity):
        x = sketch.add("Tanh", x)
    before = sketch.graph(PLANTS[name](sketch, x))
    after = respell(before, SPELLINGS[name])

    assert after.sites
    assert [str(n) for n in after.graph.nodes] != [str(n) for n in before.nodes]
    assert_equal(before, after.graph)
    assert_equal(before, run_passes(after.graph, DEFAULT_PASSES))


@pytest.mark.parametrize("name", ["gelu-constant", "bias"])
def test_a_spelling_with_two_directions_goes_back_to_where_it_came_from(name: str) -> None:
    for parity in (0, 1):
        sketch = Sketch()
        x = sketch.add("Sigmoid", sketch.input("x"))
        for _ in range(parity):
            x = sketch.add("Tanh", x)
        before = sketch.graph(PLANTS[name](sketch, x))
        there = respell(before, SPELLINGS[name]).graph
        back = respell(there, SPELLINGS[name]).graph
        assert ops(back) == ops(before)


def test_a_site_can_be_chosen_by_a_node_of_the_model() -> None:
    sketch = Sketch()
    x = sketch.input("x")
    twice = sketch.add("Relu", sketch.add("Neg", sketch.add("Relu", x)))
    graph = sketch.graph(twice)
    after = respell(graph, SPELLINGS["relu"], touching="n2")

    assert ops(after.graph) == ["Relu", "Neg", "Max"]
    assert [site.gone for site in after.sites] == [("n2",)]


def test_what_is_read_elsewhere_or_is_an_output_is_not_moved_away() -> None:
    sketch = Sketch()
    product = sketch.add("MatMul", sketch.input("x"), sketch.weight(5, 5))
    scaled = sketch.add("Div", product, number(sketch, 8.0))
    assert not respell(sketch.graph(product, scaled), SPELLINGS["scale"]).sites
    assert respell(sketch.graph(scaled), SPELLINGS["scale"]).sites


def test_a_bias_passes_by_the_reshape_and_the_transpose_that_cut_heads() -> None:
    sketch = Sketch()
    added = sketch.add("Add", sketch.input("x", (1, 6, 8)), sketch.weight(8))
    cut = sketch.add("Reshape", added, shape=(1, 6, 2, 4))
    before = sketch.graph(sketch.add("Transpose", cut, perm=(0, 2, 3, 1)))
    after = respell(before, SPELLINGS["transpose"]).graph

    assert ops(after) == ["Reshape", "Transpose", "Add"]
    assert after.types[after.nodes[2].inputs[1]].dims == (1, 2, 4, 1)
    assert_equal(before, after)


def test_a_scale_goes_to_the_operand_that_the_model_computes() -> None:
    sketch = Sketch()
    turned = sketch.add("Transpose", sketch.input("k"), perm=(0, 1, 3, 2))
    product = sketch.add("MatMul", sketch.input("q"), turned)
    graph = sketch.graph(sketch.add("Div", product, number(sketch, 8.0)))
    after = respell(graph, SPELLINGS["scale"]).graph

    assert ops(after) == ["Transpose", "Div", "MatMul"]
    assert after.nodes[1].inputs[0] == turned


def test_weights_of_a_packed_product_are_not_loaded_before_they_are_needed() -> None:
    def refuse() -> Array:
        raise AssertionError("a weight is loaded")

    sketch = Sketch()
    x = sketch.input("x")
    parts = [sketch.add("MatMul", x, sketch.weight(5, 5)) for _ in range(2)]
    graph = sketch.graph(sketch.add("Add", *parts))
    sealed = {name: replace(c, load=refuse) for name, c in graph.constants.items()}
    after = respell(replace(graph, constants=sealed), SPELLINGS["packed"]).graph

    assert ops(after) == ["MatMul", "Split", "Add"]
