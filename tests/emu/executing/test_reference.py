"""The oracle computes the user's model as it stands."""

import sys
from subprocess import run

import numpy as np
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import ModelError
from emu.models.inputs import random_inputs
from emu.models.reader import to_graph
from emu.models.zoo import build


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
