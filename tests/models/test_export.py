"""Files that others accept, and that emu reads back as the same graph."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx.checker
import onnxruntime
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import BadOption, ModelError
from emu.ir.types import Array
from emu.models.export import export
from emu.models.inputs import random_inputs
from emu.models.reader import read_model, to_graph
from emu.models.zoo import build, zoo_models
from tests.models.test_zoo import quick

CHECKER: Any = onnx.checker
ORT: Any = onnxruntime

# Those whose weights are few enough to write in every test run.
SMALL = [m.name for m in zoo_models() if quick(m.name).weight_bytes < 110e6]


@pytest.mark.parametrize("name", SMALL)
def test_an_exported_model_is_accepted_and_read_back_the_same(tmp_path: Path, name: str) -> None:
    model = quick(name)
    path = tmp_path / "model.onnx"
    assert export(model, path) == (path,)
    CHECKER.check_model(path, full_check=True)
    graph, again = to_graph(model, {}), to_graph(read_model(path), {})
    assert (again.nodes, again.inputs, again.outputs) == (graph.nodes, graph.inputs, graph.outputs)
    assert again.types == graph.types
    assert again.constants.keys() == graph.constants.keys()


@pytest.mark.parametrize("file_limit_bytes", [1 << 30, 1000])
def test_a_file_computes_what_the_builder_computes(tmp_path: Path, file_limit_bytes: int) -> None:
    model = build("mlp", {})
    path = tmp_path / "mlp.onnx"
    files = export(model, path, file_limit_bytes)
    assert sorted(tmp_path.iterdir()) == sorted(files)
    inputs = random_inputs(to_graph(model, {}), seed=0)
    expected = onnxruntime_outputs(model, inputs)["logits"]
    session = ORT.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, inputs)[0], expected, rtol=1e-4, atol=1e-5)
    again = read_model(path)
    np.testing.assert_array_equal(onnxruntime_outputs(again, inputs)["logits"], expected)
    assert again.weights.keys() >= {"layer0.weight", "last.weight"}


def test_large_weights_go_to_a_file_beside_the_model(tmp_path: Path) -> None:
    model = build("mlp", {})
    path = tmp_path / "mlp.onnx"
    _, data = export(model, path, file_limit_bytes=1000)
    CHECKER.check_model(path, full_check=True)
    assert data.name == "mlp.onnx.data"
    assert data.stat().st_size == model.weight_bytes
    assert path.stat().st_size < 10_000


def test_a_failed_export_leaves_nothing_behind_and_the_old_file_as_it_was(tmp_path: Path) -> None:
    model = build("mlp", {})
    path = tmp_path / "mlp.onnx"
    path.write_bytes(b"old")

    def fails() -> Array:
        raise ModelError("the disk is gone")

    last = {**model.weights, "last.bias": replace(model.weights["last.bias"], load=fails)}
    with pytest.raises(ModelError, match="gone"):
        export(replace(model, weights=last), path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="cannot be written"):
        export(build("diamond", {}), tmp_path / "missing" / "d.onnx")


def test_a_model_is_not_exported_onto_its_own_weights(tmp_path: Path) -> None:
    path = tmp_path / "diamond.onnx"
    export(build("diamond", {}), path)
    with pytest.raises(BadOption, match="own file"):
        export(read_model(path), path)
