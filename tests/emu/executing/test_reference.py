"""The oracle computes the user's model as it stands."""

import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest

import emu
from emu.executing.reference import onnx_outputs, onnxruntime_outputs
from emu.executing.values import tolerance_of
from emu.ir.errors import ModelError, NoOracle
from emu.models.inputs import random_inputs
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.models.small_models import node, proto, saved, value


def test_outputs_are_those_of_the_model_with_its_lazy_weights() -> None:
    model = build("mlp", {"layers": 1, "features": 5})
    inputs = random_inputs(to_graph(model, {}), seed=0)
    weight, bias = (model.weights[f"last.{part}"].load() for part in ("weight", "bias"))
    found = onnxruntime_outputs(model, inputs)
    assert found.keys() == {"logits"}
    np.testing.assert_allclose(found["logits"], inputs["x"] @ weight + bias, rtol=1e-5, atol=1e-6)


def test_inputs_that_the_oracle_refuses_are_one_line() -> None:
    with pytest.raises(ModelError, match="onnxruntime refuses the model") as caught:
        onnxruntime_outputs(build("mlp", {}), {"x": np.zeros((9, 9), np.float32)})
    assert "\n" not in str(caught.value)


def test_listing_the_zoo_imports_neither_onnx_nor_onnxruntime() -> None:
    code = (
        "import sys, emu.models.zoo, emu.models.reader, emu.executing.reference;"
        "print([m for m in ('onnx', 'onnxruntime') if m in sys.modules])"
    )
    found = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def in_dtype(tmp_path: Path, dtype: str) -> Path:
    """A sum of two inputs, and a product of it, in one element type."""
    nodes = [node("Add", ["x", "y"], "sum"), node("MatMul", ["sum", "y"], "z")]
    values = [value(name, [3, 3], dtype) for name in "xyz"]
    return saved(tmp_path / "small.onnx", proto(nodes, values[:2], values[2:], opset=17))


def test_what_onnxruntime_has_no_code_for_is_compared_with_onnx_itself(tmp_path: Path) -> None:
    path = in_dtype(tmp_path, "bf16")
    executable = emu.compile(path)
    inputs = random_inputs(executable.compiled.graph, seed=0)
    with pytest.raises(NoOracle, match="onnxruntime refuses the model"):
        onnxruntime_outputs(executable.compiled.model, inputs)
    check = executable.run().check
    assert check is not None
    assert str(check).startswith("onnx.reference within 1e-01")
    assert check.ok


def test_the_tolerance_is_that_of_the_element_type_a_model_computes_in(tmp_path: Path) -> None:
    found = {dtype: emu.compile(in_dtype(tmp_path, dtype)).compiled for dtype in ("f32", "f16")}
    tolerances = {dtype: tolerance_of(compiled) for dtype, compiled in found.items()}
    assert tolerances == {"f32": 1e-4, "f16": 2e-2}


def test_what_onnx_refuses_is_one_line(tmp_path: Path) -> None:
    model = emu.compile(in_dtype(tmp_path, "bf16")).compiled.model
    with pytest.raises(ModelError, match=r"onnx\.reference refuses the model") as caught:
        onnx_outputs(model, {"x": np.zeros((9, 9), np.float32)})
    assert "\n" not in str(caught.value)
