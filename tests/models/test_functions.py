"""Functions of ONNX and of the model: read in place, with the call as their source."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from emu.ir.errors import ModelError, OverLimit, UnsupportedOp
from emu.ir.interpret import interpret
from emu.ir.types import Array
from emu.models.limits import Limits
from emu.models.reader import read_model, to_graph
from tests.models.small_models import ints, node, one_node, opened, proto, real, saved, value

X = real(2, 3, 8)
VECTORS = (real(3, 5), np.array([1, 0, 4]))
Body = tuple[str, int, list[Array], list[Array | None], dict[str, Any]]

BODIES: list[Body] = [
    ("RMSNormalization", 23, [X, real(8, seed=1)], [], {"epsilon": 0.1}),
    ("MeanVarianceNormalization", 13, [real(1, 2, 3, 4)], [], {"axes": [0, 2]}),
    ("NegativeLogLikelihoodLoss", 13, [*VECTORS], [], {"reduction": "sum"}),
    ("SoftmaxCrossEntropyLoss", 13, [*VECTORS], [], {"reduction": "none"}),
    ("RotaryEmbedding", 23, [real(1, 2, 3, 8), real(1, 3, 4), real(1, 3, 4, seed=1)], [], {}),
    ("CenterCropPad", 18, [X], [ints(1, 4, 5)], {}),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[0])
def test_an_op_without_a_rule_is_its_function(tmp_path: Path, body: Body) -> None:
    op, opset, inputs, constants, attrs = body
    model, given = one_node(op, inputs, opset, constants, **attrs)
    graph = to_graph(opened(tmp_path, model), {}).verify()
    evaluator: Any = ReferenceEvaluator(model)
    expected = evaluator.run(None, given)[0]
    np.testing.assert_allclose(interpret(graph, given)["y0"], expected, rtol=1e-5, atol=1e-6)
    assert {n.source for n in graph.nodes} == {("the_node",)}


def function(
    name: str, nodes: list[Any], inputs: str, outputs: str, *attrs: str, **defaults: Any
) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    made = helper.make_function("mine", name, inputs.split(), outputs.split(), nodes, opsets, attrs)
    made.attribute_proto.extend(helper.make_attribute(k, v) for k, v in defaults.items())
    return made


def refers(op: str, inputs: list[str], output: str, attr: str, to: str, kind: int) -> Any:
    made = node(op, inputs, output)
    made.attribute.add(name=attr, ref_attr_name=to, type=kind)
    return made


def calling(functions: list[onnx.FunctionProto], *nodes: onnx.NodeProto) -> onnx.ModelProto:
    shaped = value("x", (2, 3, 8))
    made = proto(list(nodes), [shaped], [value("y", (2, 3, 8))], opset=17)
    made.functions.extend(functions)
    made.opset_import.append(helper.make_opsetid("mine", 1))
    made.ir_version = 10
    return made


def call(op: str, inputs: list[str], *outputs: str, **attrs: Any) -> onnx.NodeProto:
    made = node(op, inputs, *outputs, name=f"the_{op}", **attrs)
    made.domain = "mine"
    return made


LEAKY = function(
    "leaky", [refers("LeakyRelu", ["a"], "b", "alpha", "slope", 1)], "a", "b", slope=0.5
)
TWICE = function("twice", [call("leaky", ["a"], "t"), call("leaky", ["t"], "b", slope=2.0)],
                 "a", "b")  # fmt: skip


def test_functions_of_the_model_call_each_other_with_attributes(tmp_path: Path) -> None:
    model = calling([LEAKY, TWICE], call("twice", ["x"], "y"))
    graph = to_graph(opened(tmp_path, model), {}).verify()
    np.testing.assert_allclose(interpret(graph, {"x": X})["y"], X, rtol=1e-6)
    assert [n.attrs["alpha"] for n in graph.nodes] == [0.5, 2.0]
    assert {n.source for n in graph.nodes} == {("the_twice",)}


def test_an_input_that_a_call_leaves_out_is_absent_inside(tmp_path: Path) -> None:
    clip = function("clip", [node("Clip", ["a", "low", "high"], "b")], "a low high", "b")
    model = calling([clip], call("clip", ["x", "", "top"], "y"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0.5, np.float32), "top"))
    graph = to_graph(opened(tmp_path, model), {})
    np.testing.assert_array_equal(interpret(graph, {"x": X})["y"], np.minimum(X, 0.5))


def test_values_inside_of_a_function_are_not_those_outside(tmp_path: Path) -> None:
    inner = function("inner", [node("Neg", ["x"], "y"), node("Abs", ["y"], "z")], "x", "z")
    model = calling([inner], call("inner", ["x"], "t"), node("Relu", ["t"], "y"))
    graph = to_graph(opened(tmp_path, model), {}).verify()
    np.testing.assert_array_equal(interpret(graph, {"x": X})["y"], np.abs(X))


ENDLESS = function("f", [call("f", ["a"], "b")], "a", "b")
SHADOW = function("f", [node("Add", ["a", "x"], "b")], "a", "b")
WITHOUT = function("f", [node("Relu", ["a"], "c")], "a", "b")
FOREIGN = function("f", [call("g", ["a"], "b")], "a", "b")


@pytest.mark.parametrize(
    ("functions", "kind", "why"),
    [
        ([ENDLESS], OverLimit, "graphs and functions inside each other"),
        ([SHADOW], ModelError, "the_f/Add_0' .*input 'the_f/x' is defined nowhere"),
        ([WITHOUT], ModelError, "output 'b' of its function is defined nowhere"),
        ([FOREIGN], UnsupportedOp, "op 'g' of domain 'mine'"),
        ([LEAKY, LEAKY], ModelError, "function 'leaky' is defined twice"),
    ],
)
def test_a_wrong_function_is_refused_with_the_call(
    tmp_path: Path, functions: list[onnx.FunctionProto], kind: type[Exception], why: str
) -> None:
    model = calling(functions, call("f", ["x"], "y"))
    with pytest.raises(kind, match=why):
        to_graph(read_model(saved(tmp_path / "m.onnx", model), Limits(nesting=16)), {})


def test_a_call_with_too_many_inputs_is_refused(tmp_path: Path) -> None:
    model = calling([LEAKY], call("leaky", ["x", "x"], "y"))
    with pytest.raises(ModelError, match="takes 1 and 1 at most"):
        to_graph(opened(tmp_path, model), {})


def test_calls_count_as_often_as_they_are_made(tmp_path: Path) -> None:
    names = ["a", *(f"t{i}" for i in range(9)), "b"]
    steps = list(pairwise(names))
    laughs = [
        function(f"f{i}", [call(f"f{i + 1}", [u], v) for u, v in steps], "a", "b") for i in range(4)
    ]
    model = calling([*laughs, function("f4", [], "a", "b")], call("f0", ["x"], "y"))
    last = function("f4", [node("Relu", ["a"], "b")], "a", "b")
    model.functions[-1].CopyFrom(last)
    path = saved(tmp_path / "m.onnx", model)
    with pytest.raises(OverLimit, match="nodes after expansion"):
        to_graph(read_model(path, Limits(nodes=5000)), {})
