"""Inputs that decide what the program is: a branch, a shape, a number of trips."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from emu.files import read_arrays, write_arrays
from emu.ir.types import Array
from emu.models.known_inputs import with_known
from emu.models.reader import read_model
from emu.shapes import Shapes
from tests.emu.cases import Call

X = np.array([[-1, 2, -3, 4]], np.float32)


def branch(op: str) -> onnx.GraphProto:
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, [1, 4])
    return helper.make_graph([helper.make_node(op, ["x"], ["made"])], op, [], [made])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Relu or Neg of ``x``, as ``positive`` says, in the shape that is ``wanted``."""
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info("positive", TensorProto.BOOL, []),
        helper.make_tensor_value_info("wanted", TensorProto.INT64, [2]),
    ]
    nodes = [
        helper.make_node(
            "If", ["positive"], ["z"], then_branch=branch("Relu"), else_branch=branch("Neg")
        ),
        helper.make_node("Reshape", ["z", "wanted"], ["y"]),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])
    graph = helper.make_graph(nodes, "chosen", inputs, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = tmp_path / "chosen.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def given(positive: bool, *wanted: int) -> dict[str, Array]:
    return {"x": X, "positive": np.array(positive), "wanted": np.array(wanted)}


def test_there_are_executables_for_each_value_that_decides(path: Path) -> None:
    shapes = Shapes(path)
    for positive, wanted in ((True, (2, 2)), (False, (4, 1)), (True, (2, 2))):
        outputs = shapes.run(given(positive, *wanted)).outputs
        assert outputs is not None
        expected = np.maximum(X, 0) if positive else -X
        np.testing.assert_array_equal(outputs["y"], expected.reshape(wanted))
    assert shapes.deciding == {"positive", "wanted"}
    assert len(shapes.decided) == 3  # one of them knew the first of both inputs only


def test_a_run_takes_them_from_the_inputs_that_are_given(run: Call, path: Path) -> None:
    inputs, outputs = path.with_name("in.npz"), path.with_name("out.npz")
    write_arrays(inputs, given(False, 4, 1))
    code, out, err = run("run", str(path), "--inputs", str(inputs), "--outputs", str(outputs))
    assert (code, err) == (0, "")
    assert "as onnxruntime within" in out
    np.testing.assert_array_equal(read_arrays(outputs)["y"], -X.reshape(4, 1))


def test_they_are_not_chosen_at_random(run: Call, path: Path) -> None:
    code, out, err = run("run", str(path))
    assert (code, out) == (4, "")
    assert "the condition ('positive') is not a constant; if it is an input, give it with" in err


def test_a_model_of_which_nothing_is_known_stays_as_it_is(path: Path) -> None:
    model = read_model(path)
    assert with_known(model, {}) is model
