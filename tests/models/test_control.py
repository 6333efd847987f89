"""If, Loop and Scan, read in place: values against onnxruntime, and what is refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import DataDependent, EmuError, ModelError, OverLimit
from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.types import Array
from emu.models.limits import Limits
from emu.models.reader import read_model, to_graph
from tests.models.small_models import ints, node, opened, proto, real, saved, unshaped, value

X = real(3, 4)
TRUE = np.array(True)


def body(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    **constants: Array,
) -> onnx.GraphProto:
    kinds = {"go": "i1", "go_on": "i1", "i": "i64"}
    made = [unshaped(name, kinds.get(name, "f32")) for name in outputs]
    tensors = [onnx.numpy_helper.from_array(a, n) for n, a in constants.items()]
    return helper.make_graph(list(nodes), "body", list(inputs), made, tensors)


NUMBER, GO = value("i", (), "i64"), value("go", (), "i1")
STATE = unshaped("s")
# s + x, and twice that: x is captured, and so is what an If inside of the loop reads.
GROWS = body(
    [
        node("Identity", ["go"], "go_on", name="on"),
        node("Add", ["s", "x"], "sum", name="grow"),
        node("Mul", ["sum", "two"], "double"),
    ],
    [NUMBER, GO, STATE],
    ["go_on", "sum", "double"],
    two=np.array(2, np.float32),
)
# Trips differ in shape: x is put behind what is there.
LONGER = body(
    [node("Identity", ["go"], "go_on"), node("Concat", ["s", "x"], "longer", axis=0)],
    [NUMBER, GO, STATE],
    ["go_on", "longer"],
)
UNTIL = body(
    [node("Less", ["i", "two"], "go_on"), node("Neg", ["s"], "next")],
    [NUMBER, GO, STATE],
    ["go_on", "next"],
    two=np.array(2),
)
HALVES = body([node("Mul", ["x", "half"], "t")], [], ["t"], half=np.array(0.5, np.float32))
NEGATIVE = body([node("Neg", ["x"], "t")], [], ["t"])
NESTED = body(
    [
        node("If", ["go"], "chosen", then_branch=HALVES, else_branch=NEGATIVE),
        node("Add", ["s", "chosen"], "sum"),
    ],
    [NUMBER, GO, STATE],
    ["go", "sum"],
)
STEP = body(
    [node("Add", ["s", "row"], "sum"), node("Neg", ["sum"], "less")],
    [STATE, unshaped("row")],
    ["sum", "less"],
)


def model_of(
    op: str, inputs: Sequence[str], outputs: int, constants: Mapping[str, Array], **attrs: Any
) -> onnx.ModelProto:
    names = [f"y{i}" for i in range(outputs)]
    made = node(op, inputs, *names, name="the_node", **attrs)
    return proto([made], [value("x", X.shape)], [unshaped(n) for n in names], constants, 16)


def loop(graph: onnx.GraphProto, trips: int, outputs: int, go: bool = True) -> onnx.ModelProto:
    known = {"trips": np.array(trips), "start": np.array(go)}
    return model_of("Loop", ["trips", "start", "x"], outputs, known, body=graph)


def scan(inputs: Sequence[str], outputs: int = 2, **attrs: Any) -> onnx.ModelProto:
    known = {"zero": np.zeros(X.shape[1], np.float32), "tall": np.zeros(X.shape[0], np.float32)}
    return model_of("Scan", inputs, outputs, known, body=STEP, num_scan_inputs=1, **attrs)


MODELS: Mapping[str, onnx.ModelProto] = {
    "then": model_of("If", ["c"], 1, {"c": TRUE}, then_branch=HALVES, else_branch=NEGATIVE),
    "else": model_of("If", ["c"], 1, {"c": ~TRUE}, then_branch=HALVES, else_branch=NEGATIVE),
    "loop": loop(GROWS, 3, 2),
    "loop-once": loop(GROWS, 1, 2),
    "loop-never": loop(LONGER, 0, 1),
    "loop-not-started": loop(LONGER, 5, 1, go=False),
    "loop-of-other-shapes": loop(LONGER, 3, 1),
    "loop-until": loop(UNTIL, 9, 1),
    "nested": loop(NESTED, 2, 1),
    "scan": scan(["zero", "x"]),
    "scan-back": scan(["zero", "x"], scan_input_directions=[1], scan_output_directions=[1]),
    "scan-columns": scan(["tall", "x"], scan_input_axes=[1], scan_output_axes=[-1]),
}


def graph_of(folder: Path, model: onnx.ModelProto) -> Graph:
    return to_graph(opened(folder, model), {}).verify()


@pytest.mark.parametrize("name", MODELS)
def test_what_is_read_in_place_means_what_onnxruntime_computes(tmp_path: Path, name: str) -> None:
    model = opened(tmp_path, MODELS[name])
    graph = to_graph(model, {}).verify()
    expected = onnxruntime_outputs(model, {"x": X})
    found = interpret(graph, {"x": X})
    for output, array in expected.items():
        assert graph.types[output].dims == array.shape
        np.testing.assert_allclose(found[output], array, rtol=1e-6)


def test_a_node_of_a_body_is_the_source_of_its_nodes_in_all_trips(tmp_path: Path) -> None:
    nodes = [n for n in graph_of(tmp_path, loop(GROWS, 3, 2)).nodes if n.op == "Add"]
    assert [n.id for n in nodes] == [f"the_node@{i}/grow" for i in range(3)]
    assert {n.source for n in nodes} == {("the_node/grow",)}


def test_without_a_trip_there_is_nothing_of_the_declared_type(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, loop(GROWS, 0, 2))
    assert graph.types["y1"].shape[0] == 0


def test_batches_of_opset_8_are_scanned_one_by_one(tmp_path: Path) -> None:
    known = {"zero": np.zeros((2, 4), np.float32)}
    made = node("Scan", ["", "zero", "x"], "y0", "y1", body=STEP, num_scan_inputs=1)
    model = proto([made], [value("x", (2, 3, 4))], [unshaped("y0"), unshaped("y1")], known, 8)
    x = real(2, 3, 4)
    found = interpret(graph_of(tmp_path, model), {"x": x})
    np.testing.assert_allclose(found["y0"], x.sum(1), rtol=1e-5)
    np.testing.assert_allclose(found["y1"], -x.cumsum(1), rtol=1e-5)


ENDLESS = model_of("Loop", ["", "", "x"], 1, {}, body=LONGER)
SUMS = node("ReduceSum", ["x"], "sum", keepdims=0)
ASKS = [SUMS, node("Cast", ["sum"], "c", to=9)]
UNKNOWN = proto(
    [*ASKS, node("If", ["c"], "y", name="the_node", then_branch=HALVES, else_branch=NEGATIVE)],
    [value("x", X.shape)],
    [unshaped("y")],
    opset=16,
)
LENGTHS = proto(
    [node("Scan", ["n", "zero", "x"], "y0", name="the_node", body=STEP, num_scan_inputs=1)],
    [value("x", (2, 3, 4))],
    [unshaped("y0")],
    {"n": ints(3, 2), "zero": np.zeros((2, 4), np.float32)},
    8,
)
LOST = body([node("Neg", ["x"], "t")], [], ["elsewhere"])
REFUSED: Sequence[tuple[onnx.ModelProto, type[EmuError], str]] = [
    (ENDLESS, OverLimit, "trips of loops"),
    (UNKNOWN, DataDependent, r"the condition \('c'\) is not a constant"),
    (LENGTHS, EmuError, "lengths of sequences"),
    (scan(["x"], 1), ModelError, "does not take 1 inputs"),
    (model_of("Loop", ["", "", "x", "x"], 1, {}, body=GROWS), ModelError, "does not carry 2"),
    (model_of("If", ["c"], 1, {"c": TRUE}), ModelError, "no graph 'then_branch'"),
    (
        model_of("If", ["c"], 1, {"c": TRUE}, then_branch=LOST, else_branch=LOST),
        ModelError,
        "output 'elsewhere' of its graph is defined nowhere",
    ),
    (
        model_of("If", ["c"], 2, {"c": TRUE}, then_branch=HALVES, else_branch=HALVES),
        ModelError,
        "its branch has 1 outputs",
    ),
]


@pytest.mark.parametrize(("model", "kind", "why"), REFUSED, ids=lambda part: str(part)[:20])
def test_what_cannot_be_read_in_place_is_refused_with_the_node(
    tmp_path: Path, model: onnx.ModelProto, kind: type[EmuError], why: str
) -> None:
    path = saved(tmp_path / "m.onnx", model)
    with pytest.raises(kind, match=f"the_node.*{why}"):
        to_graph(read_model(path, Limits(trips=20)), {})
