"""Files as users have them: symbols, odd names, broken and hostile contents."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from emu.ir.errors import (
    BadOption,
    DataDependent,
    EmuError,
    ModelError,
    OverLimit,
    UnboundDimension,
    UnknownName,
    Unsupported,
    UnsupportedOp,
)
from emu.models.limits import Limits
from emu.models.reader import read_model, to_graph
from tests.models.small_models import ints, node, opened, proto, real, saved, unshaped, value

RELU = [node("Relu", ["x"], "y")]
X, Y = [value("x", [4])], [value("y", [4])]
WEIGHT = real(8, 8)


def with_weight(array: Any = WEIGHT) -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "w"], "y")]
    return proto(nodes, [value("x", [2, 8])], [unshaped("y")], {"w": array})


def test_weights_stay_in_the_file_until_they_are_loaded(tmp_path: Path) -> None:
    model = opened(tmp_path, with_weight())
    assert model.proto.graph.initializer[0].raw_data == b""
    weight = to_graph(model, {}).constants["w"]
    assert (weight.inline, str(weight.type)) == (None, "tensor<8x8xf32>")
    np.testing.assert_array_equal(weight.load(), WEIGHT)


def test_a_weight_in_use_is_not_read_twice(tmp_path: Path) -> None:
    weight = opened(tmp_path, with_weight()).weights["w"]
    first = weight.load()
    assert weight.load() is first


def test_a_weight_in_typed_fields_is_read_too(tmp_path: Path) -> None:
    model = with_weight()
    flat = WEIGHT.reshape(-1).tolist()
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [8, 8], flat)
    model.graph.initializer[0].CopyFrom(tensor)
    np.testing.assert_array_equal(opened(tmp_path, model).weights["w"].load(), WEIGHT)


def test_structural_constants_stay_in_the_model_text(tmp_path: Path) -> None:
    nodes = [node("Reshape", ["x", "shape"], "y")]
    model = opened(tmp_path, proto(nodes, X, [unshaped("y")], {"shape": ints(2, 2)}))
    assert model.weights == {}
    assert to_graph(model, {}).constants["shape"].inline is not None


def test_a_scalar_constant_shows_its_number(tmp_path: Path) -> None:
    half = np.array(0.5, np.float32)
    model = opened(tmp_path, proto([node("Mul", ["x", "half"], "y")], X, Y, {"half": half}))
    assert to_graph(model, {}).constants["half"].scalar == 0.5


def test_a_missing_file_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, why in (
        ("nothing.onnx", "no such file"),
        (".", "not a file"),
        ("empty.onnx", "is empty"),
    ):
        with pytest.raises(ModelError, match=why):
            read_model(tmp_path / name)


@pytest.mark.parametrize(
    "contents", [b"not a model", b"\x3a\xff\x01abc", b"\xff" * 40, b"\x08\x08"]
)
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(contents)
    with pytest.raises(ModelError, match="not an ONNX model") as caught:
        read_model(path)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, 400), byte=st.integers(0, 255), data=st.data())
def test_no_damage_to_a_file_is_worse_than_an_error_of_emu(
    tmp_path_factory: pytest.TempPathFactory, cut: int, byte: int, data: st.DataObject
) -> None:
    whole = with_weight().SerializeToString()
    at = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path_factory.mktemp("damaged") / "model.onnx"
    path.write_bytes((whole[:at] + bytes([byte]) + whole[at + 1 :])[: len(whole) - cut // 4])
    assert "\n" not in outcome(path)


def outcome(path: Path) -> str:
    """What emu says about a file; any other exception is a failure of the test."""
    try:
        return to_graph(read_model(path), {}).verify().name
    except EmuError as error:
        return str(error)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(file_bytes=10), "the limit is 10"),
        (Limits(structure_bytes=10), "without weights"),
        (Limits(nodes=0), "has 1 nodes"),
        (Limits(fields=1), "protobuf fields"),
        (Limits(messages=1), "protobuf messages"),
        (Limits(nesting=2), "messages inside each other"),
        (Limits(string_bytes=1), "6 bytes in 'op_type'"),
        (Limits(tensor_bytes=100), "tensor 'w': has 256 bytes"),
    ],
)
def test_a_model_over_a_limit_is_refused(tmp_path: Path, limits: Limits, why: str) -> None:
    path = saved(tmp_path / "small.onnx", with_weight())
    with pytest.raises(OverLimit, match=why):
        read_model(path, limits)


def test_weights_do_not_count_as_structure(tmp_path: Path) -> None:
    path = saved(tmp_path / "small.onnx", with_weight(real(8, 500)))
    assert read_model(path, Limits(structure_bytes=1000)).weight_bytes == 16_000


def test_a_weight_with_too_few_bytes_is_refused(tmp_path: Path) -> None:
    model = with_weight()
    model.graph.initializer[0].raw_data = b"\0" * 12
    with pytest.raises(ModelError, match="needs 256 bytes, but 12 are stored"):
        opened(tmp_path, model)


def test_a_weight_with_a_negative_dimension_is_refused(tmp_path: Path) -> None:
    model = with_weight()
    model.graph.initializer[0].dims[0] = -8
    with pytest.raises(ModelError, match=r"has the shape \[-8, 8\]"):
        opened(tmp_path, model)


def test_a_symbol_takes_its_number(tmp_path: Path) -> None:
    model = opened(tmp_path, proto(RELU, [value("x", ["batch", 4])], [unshaped("y")]))
    assert to_graph(model, {"batch": 3}).types["y"].dims == (3, 4)


def test_a_symbol_without_a_number_is_named_with_the_flag_to_give(tmp_path: Path) -> None:
    model = opened(tmp_path, proto(RELU, [value("x", ["batch", "seq"])], [unshaped("y")]))
    with pytest.raises(UnboundDimension, match=r"input 'x' .* 'seq'; give --dim seq=N"):
        to_graph(model, {"batch": 3})


def test_a_dimension_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    model = proto(RELU, X, [unshaped("y")])
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    with pytest.raises(UnboundDimension, match="--dim x_0=N"):
        to_graph(opened(tmp_path, model), {})
    assert to_graph(opened(tmp_path, model), {"x_0": 5}).types["y"].dims == (5,)


def test_a_number_for_an_unknown_symbol_is_refused(tmp_path: Path) -> None:
    model = opened(tmp_path, proto(RELU, [value("x", ["batch"])], [unshaped("y")]))
    with pytest.raises(UnknownName, match="did you mean 'batch'"):
        to_graph(model, {"bach": 1})


def test_a_number_below_one_is_refused(tmp_path: Path) -> None:
    model = opened(tmp_path, proto(RELU, [value("x", ["batch"])], [unshaped("y")]))
    with pytest.raises(BadOption, match="at least 1"):
        to_graph(model, {"batch": 0})


def test_ids_are_unique_when_names_are_empty_or_doubled(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], "a", name="twice"),
        node("Relu", ["a"], "b", name="twice"),
        node("Relu", ["b"], "y"),
    ]
    graph = to_graph(opened(tmp_path, proto(nodes, X, Y)), {}).verify()
    assert [n.id for n in graph.nodes] == ["twice", "twice#2", "Relu_2"]
    assert [n.source for n in graph.nodes] == [(n.id,) for n in graph.nodes]


def test_an_initializer_that_is_also_an_input_is_a_constant(tmp_path: Path) -> None:
    model = with_weight()
    model.graph.input.append(value("w", [8, 8]))
    assert to_graph(opened(tmp_path, model), {}).inputs == ("x",)


def test_arithmetic_on_shapes_becomes_a_constant(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], "s", name="shape"),
        node("Gather", ["s", "zero"], "rows", name="rows"),
        node("Concat", ["rows", "rest"], "target", axis=0, name="target"),
        node("Reshape", ["x", "target"], "y", name="reshape"),
    ]
    known = {"zero": ints(0), "rest": ints(-1, 2)}
    model = proto(nodes, [value("x", ["batch", 4])], [unshaped("y")], known)
    graph = to_graph(opened(tmp_path, model), {"batch": 3}).verify()
    assert graph.nodes[0].attrs == {"shape": (3, 2, 2)}
    assert graph.folded == ("shape", "rows", "target")


def chained(*pairs: tuple[str, str]) -> list[onnx.NodeProto]:
    return [node("Relu", [a], b, name=f"{a}_{b}") for a, b in pairs]


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        (chained(("x", "y"), ("x", "y")), "'y' is defined twice"),
        (chained(("nowhere", "y")), "'nowhere' is defined nowhere"),
        (chained(("b", "a"), ("a", "b"), ("x", "y")), "form a cycle"),
        (chained(("x", "x")), "'x' is defined twice"),
        (chained(("x", "other")), "output 'y' is defined nowhere"),
        ([node("Relu", ["x"], "")], "has no output"),
        ([node("Relu", [], "y")], "takes 1 inputs, not 0"),
        ([node("Max", [], "y")], "has no inputs"),
        ([node("Cast", ["x"], "y", to=7)], "declared as tensor<4xf32> but the nodes make"),
        ([node("Split", ["x"], "y", "z", num_outputs=2, axis=3)], "axis 3"),
    ],
)
def test_a_graph_that_does_not_hold_together_is_refused(
    tmp_path: Path, nodes: list[onnx.NodeProto], why: str
) -> None:
    model = opened(tmp_path, proto(nodes, X, Y))
    with pytest.raises(ModelError, match=why):
        to_graph(model, {})


def test_a_wrong_element_type_is_refused_with_the_node(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "i"], "y", name="sum")]
    model = opened(tmp_path, proto(nodes, [*X, value("i", [4], "i64")], Y))
    with pytest.raises(ModelError, match=r"node 'sum' .* takes f32 here, not tensor<4xi64>"):
        to_graph(model, {})


def test_two_inputs_or_initializers_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="input 'x' is defined twice"):
        to_graph(opened(tmp_path, proto(RELU, [*X, *X], Y)), {})
    small = with_weight(ints(1))
    small.graph.initializer.append(small.graph.initializer[0])
    with pytest.raises(ModelError, match="initializer 'w' is defined twice"):
        to_graph(opened(tmp_path, small), {})
    large = with_weight()
    large.graph.initializer.append(large.graph.initializer[0])
    with pytest.raises(ModelError, match="initializer 'w' is defined twice"):
        opened(tmp_path, large)


def test_a_model_without_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no outputs"):
        to_graph(opened(tmp_path, proto(RELU, X, [])), {})


@pytest.mark.parametrize("opset", [0, 99])
def test_an_opset_that_nobody_has_read_is_refused(tmp_path: Path, opset: int) -> None:
    model = opened(tmp_path, proto(RELU, X, Y, opset=opset))
    with pytest.raises(Unsupported, match=f"opset {opset} is not supported; known: 1 to 28"):
        to_graph(model, {})


def test_a_model_of_foreign_ops_only_is_refused(tmp_path: Path) -> None:
    model = proto(RELU, X, Y)
    model.opset_import[0].domain = "com.example"
    with pytest.raises(ModelError, match="no opset of ONNX itself"):
        to_graph(opened(tmp_path, model), {})


def test_an_op_of_another_domain_is_refused_with_its_node(tmp_path: Path) -> None:
    foreign = node("Relu", ["x"], "y", name="mine")
    foreign.domain = "com.example"
    model = opened(tmp_path, proto([foreign], X, Y))
    with pytest.raises(UnsupportedOp, match=r"node 'mine': op 'Relu' of domain 'com\.example'"):
        to_graph(model, {})


def test_an_attribute_that_is_a_graph_is_refused(tmp_path: Path) -> None:
    body = helper.make_graph([], "body", [], [])
    model = opened(tmp_path, proto([node("Relu", ["x"], "y", body=body)], X, Y))
    with pytest.raises(ModelError, match="attribute 'body' is a graph"):
        to_graph(model, {})


def test_what_has_no_rank_wants_a_value(tmp_path: Path) -> None:
    listed = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [4])
    for told in (listed, unshaped("x")):
        with pytest.raises(DataDependent, match=r"'x' is no tensor with a rank; only its value"):
            to_graph(opened(tmp_path, proto(RELU, [told], Y)), {})


def test_a_tensor_in_a_node_with_bad_contents_is_refused(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(real(3), "t")
    tensor.raw_data = b"\0" * 5
    model = opened(tmp_path, proto([node("Constant", [], "y", value=tensor)], [], [unshaped("y")]))
    with pytest.raises(ModelError, match="tensor 't' has bad contents"):
        to_graph(model, {})


def test_weights_in_a_node_are_no_part_of_the_model_text(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(real(100), "t")
    model = opened(tmp_path, proto([node("Constant", [], "y", value=tensor)], [], [unshaped("y")]))
    constant = to_graph(model, {}).constants["y"]
    assert constant.inline is None
    np.testing.assert_array_equal(constant.load(), real(100))
