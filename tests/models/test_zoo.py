"""The zoo: real ONNX, the counts of the notes, weights that nobody makes too early."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import BadOption, UnknownName
from emu.ir.graph import Graph
from emu.ir.types import Array
from emu.models.inputs import random_inputs
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.zoo import build, zoo_models

NAMES = [model.name for model in zoo_models()]

# Settings under which a test of values is quick.
QUICK = {
    "resnet50": {"image": 64},
    "mobilenet_v2": {"image": 64},
    "unet": {"image": 32, "width": 8},
    "bert_layer": {"seq": 16},
    "bert_base": {"seq": 16, "layers": 1},
    "gpt2": {"seq": 16, "layers": 1},
    "vit_b16": {"image": 64, "layers": 1},
    "halo_chain": {"image": 14, "channels": 16},
    "wide_chain": {"rows": 16},
}


def quick(name: str) -> Model:
    return build(name, QUICK.get(name, {}))


def graph_of(name: str, **settings: int) -> Graph:
    return to_graph(build(name, settings), {}).verify()


def forbidden() -> Array:
    raise AssertionError("a weight was loaded")


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("resnet50", 175),
        ("bert_layer", 49),
        ("mobilenet_v2", 152),
        ("conv_block", 10),
        ("attention", 5),
        ("diamond", 5),
        ("mlp", 8),
        ("halo_chain", 4),
        ("wide_chain", 2),
        ("few_rows", 2),
        ("unet", 49),
    ],
)
def test_a_model_has_the_nodes_it_should_have(name: str, nodes: int) -> None:
    graph = graph_of(name)
    assert (len(graph.nodes), graph.folded) == (nodes, ())


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet50", 25.6), ("mobilenet_v2", 3.54), ("gpt2", 124.4), ("vit_b16", 86.6)],
)
def test_a_model_has_the_parameters_of_its_paper(name: str, millions: float) -> None:
    assert build(name, {}).weight_bytes / 4e6 == pytest.approx(millions, rel=0.01)


def test_resnet50_has_the_traffic_of_the_notes() -> None:
    graph = graph_of("resnet50")
    values = [v for n in graph.nodes for v in (*n.inputs, *n.outputs) if v not in graph.constants]
    assert sum(graph.types[v].bytes for v in values) / 1e6 == pytest.approx(323.6, abs=0.1)
    assert build("resnet50", {}).weight_bytes / 1e6 == pytest.approx(102.4, abs=0.1)


def test_strides_of_resnet50_are_in_the_three_by_three_and_convs_have_no_bias() -> None:
    graph = graph_of("resnet50")
    convs = [n for n in graph.nodes if n.op == "Conv"]
    assert {len(n.inputs) for n in convs} == {2}
    strided = [n for n in convs if n.attrs["strides"] == (2, 2) and "down" not in n.id]
    kernels = [graph.types[n.inputs[1]].dims[2] for n in strided]
    assert kernels == [7, 3, 3, 3]


@pytest.mark.parametrize("name", NAMES)
def test_reading_a_model_loads_no_weight(name: str) -> None:
    model = build(name, {})
    locked = {n: replace(w, load=forbidden) for n, w in model.weights.items()}
    graph = to_graph(replace(model, weights=locked), {}).verify()
    assert {n for n, c in graph.constants.items() if c.inline is None} == set(model.weights)
    assert len(model.proto.SerializeToString()) < 500_000


@pytest.mark.parametrize("name", NAMES)
def test_values_are_finite_and_of_order_one(name: str) -> None:
    model = quick(name)
    outputs = onnxruntime_outputs(model, random_inputs(to_graph(model, {}), seed=1))
    assert outputs.keys() == set(to_graph(model, {}).outputs)
    for array in outputs.values():
        assert np.isfinite(array).all()
        assert 0.01 < array.std() < 100


def test_weights_are_the_same_in_any_order_and_process() -> None:
    one, other = build("mlp", {}), build("mlp", {})
    names = list(one.weights)
    first = {n: one.weights[n].load() for n in names}
    for name in reversed(names):
        np.testing.assert_array_equal(other.weights[name].load(), first[name])
    assert float(first["layer0.weight"][0, 0]) == pytest.approx(0.00543716, rel=1e-5)


def test_equal_keys_promise_equal_contents() -> None:
    small, large = build("mlp", {"features": 8}), build("mlp", {"features": 16})
    assert small.weights["last.weight"].key == large.weights["last.weight"].key
    assert small.weights["layer0.weight"].key != large.weights["layer0.weight"].key


def test_a_weight_has_the_spread_of_its_rule() -> None:
    weight = build("mlp", {}).weights["layer1.weight"].load()
    assert weight.std() == pytest.approx((2 / 512) ** 0.5, rel=0.01)


def test_every_model_says_what_it_is_and_what_can_be_set() -> None:
    for model in zoo_models():
        assert model.description.endswith(".")
        assert set(model.settings) >= {"batch"}
        assert min(model.settings.values()) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_is_the_first_dimension_of_every_input_and_output(name: str) -> None:
    graph = graph_of(name, batch=3)
    for value in (*graph.inputs, *graph.outputs):
        assert graph.types[value].dims[0] == 3
        assert prod(graph.types[value].dims) > 0


def test_settings_reach_the_shapes() -> None:
    assert graph_of("attention", seq=2048).types["q"].dims == (1, 12, 2048, 64)
    assert graph_of("gpt2", seq=7, layers=1).types["logits"].dims == (1, 7, 50257)
    assert graph_of("bert_base", layers=2).types["pooled"].dims == (1, 768)


def test_an_unknown_model_or_setting_gets_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="did you mean 'resnet50'"):
        build("resnet5", {})
    with pytest.raises(UnknownName, match="setting of gpt2 'sequ'; did you mean 'seq'"):
        build("gpt2", {"sequ": 1})


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("mlp", {"batch": 0}, "positive"),
        ("mlp", {"batch": True}, "positive"),
        ("unet", {"image": 50}, "multiple of 16"),
        ("vit_b16", {"image": 50}, "multiple of 16"),
        ("gpt2", {"seq": 2000}, "at most 1024"),
        ("bert_base", {"seq": 2000}, "at most 512"),
    ],
)
def test_an_impossible_setting_is_refused(name: str, settings: dict[str, int], why: str) -> None:
    with pytest.raises(BadOption, match=why):
        build(name, settings)
