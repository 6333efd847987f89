"""Each pass: its own pattern is planted between random strangers, and the values stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.graph import Graph
from emu.ir.passes import DEFAULT_PASSES, PASSES, run_passes
from tests.ir.passes.planting import Plant, Sketch, assert_same, planted

SMALL = np.linspace(-1, 1, 4, dtype=np.float32).reshape(1, 4, 1, 1)


def conv_norm(sketch: Sketch, x: str) -> str:
    bias = [sketch.weight(4)] if len(sketch.nodes) % 2 else []
    conv = sketch.add("Conv", x, sketch.weight(4, 4, 3, 3), *bias, pads=(1, 1, 1, 1))
    vectors = [sketch.weight(4) for _ in range(3)]
    return sketch.add("BatchNormalization", conv, *vectors, sketch.weight(4, positive=True))


def constant_chain(sketch: Sketch, x: str) -> str:
    known = sketch.add("Exp", sketch.constant(SMALL, inline=len(sketch.nodes) % 2 == 0))
    return sketch.add("Add", x, sketch.add("Mul", known, sketch.weight(1, 4, 1, 1)))


def twins(sketch: Sketch, x: str) -> str:
    ones = np.full((4, 1, 1), 0.5, np.float32)
    halves = [sketch.add("Mul", x, sketch.constant(ones, key="half")) for _ in range(2)]
    left, right = (sketch.add("Tanh", half) for half in halves)
    # Equal up to here, and no longer with two different slopes.
    steep = sketch.add("LeakyRelu", right, alpha=0.2)
    return sketch.add("Sub", sketch.add("LeakyRelu", left, alpha=0.1), steep)


def dead_end(sketch: Sketch, x: str) -> str:
    sketch.add("Exp", sketch.add("Mul", x, sketch.weight(4, 5, 5)))
    return sketch.add("Relu", x)


def there_and_back(sketch: Sketch, x: str) -> str:
    copy = sketch.add("Identity", sketch.add("Cast", x, to=sketch.dtype))
    # Two turns that do not commute, and the one that takes both back.
    turned = sketch.add("Transpose", copy, perm=(2, 0, 3, 1))
    again = sketch.add("Transpose", sketch.add("Identity", turned), perm=(0, 2, 1, 3))
    back = sketch.add("Transpose", again, perm=(2, 3, 0, 1))
    flat = sketch.add("Reshape", sketch.add("Reshape", back, shape=(4, 25)), shape=(0, 5, -1))
    whole = sketch.add("Reshape", flat, shape=(1, 4, 5, 5))
    return sketch.add("Add", sketch.constant(SMALL, inline=True), whole)


def quantised_conv(sketch: Sketch, x: str) -> str:
    scale = sketch.constant(np.array(0.02), inline=True)
    channels = sketch.constant(np.linspace(0.01, 0.04, 4), inline=len(sketch.nodes) % 2 == 0)
    pooled = _rounded(sketch, sketch.add("Tanh", x), scale)
    window = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "strides": (1, 1)}
    q = sketch.add("QuantizeLinear", sketch.add("MaxPool", pooled, **window), scale)
    real = sketch.add("DequantizeLinear", q, scale, to=sketch.dtype)
    weight = sketch.eight_bits(4, 4, 3, 3)
    kernel = sketch.add("DequantizeLinear", weight, channels, axis=0, to=sketch.dtype)
    bias = [sketch.weight(4)] if len(sketch.nodes) % 3 else []
    conv = sketch.add("Conv", real, kernel, *bias, pads=(1, 1, 1, 1))
    return sketch.add("Add", conv, real)


def _rounded(sketch: Sketch, x: str, scale: str) -> str:
    q = sketch.add("QuantizeLinear", x, scale)
    return sketch.add("DequantizeLinear", q, scale, to=sketch.dtype)


PLANTS: dict[str, Plant] = {
    "infer-types": conv_norm,
    "integer-products": quantised_conv,
    "fold-constants": constant_chain,
    "remove-dead": dead_end,
    "merge-common": twins,
    "fold-batch-norm": conv_norm,
    "canonicalise": there_and_back,
}


def test_every_pass_has_a_plant() -> None:
    assert PLANTS.keys() == PASSES.keys() == set(DEFAULT_PASSES)


@pytest.mark.parametrize("name", PLANTS)
def test_a_pass_keeps_the_values_around_its_own_pattern(name: str) -> None:
    @settings(deadline=None, max_examples=40)
    @given(planted(PLANTS[name]))
    def check(graph: Graph) -> None:
        assert_same(graph, PASSES[name](graph))

    check()


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(PLANTS)).flatmap(lambda name: planted(PLANTS[name])),
    st.permutations(sorted(PASSES)),
)
def test_passes_keep_the_values_in_any_order(graph: Graph, names: list[str]) -> None:
    assert_same(graph, run_passes(graph, names))


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(sorted(PLANTS)).flatmap(lambda name: planted(PLANTS[name])))
def test_a_second_round_of_the_default_passes_changes_nothing(graph: Graph) -> None:
    once = run_passes(graph, (*DEFAULT_PASSES, *DEFAULT_PASSES))
    assert run_passes(once, DEFAULT_PASSES).nodes == once.nodes
