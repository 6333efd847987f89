"""``--batches``: an open batch is compiled once per shape, by `emu run --stack` and `emu swap`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from emu.cli import main
from emu.ir.types import Array
from emu.lockin import sizes
from emu.lockin.catalogue import load_catalogue
from emu.models.model import Model

Capture = pytest.CaptureFixture[str]
CUDA = ("run", "mlp", "--stack", "cuda-like", "--batches", "1,8,1,16,8")


def told(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def compiles(runs: list[dict[str, Any]]) -> list[int]:
    return [run["compiles"] for run in runs]


def test_each_shape_is_compiled_once_and_its_values_are_right(capsys: Capture) -> None:
    found = told(capsys, *CUDA)
    assert (found["schema"], found["stack"]) == ("emu.batches/1", "cuda-like")
    assert compiles(found["runs"]) == [1, 1, 0, 1, 0]
    assert [run["values"] for run in found["runs"]] == [True] * 5
    first, _, again, *_ = (run["latency_ps"] for run in found["runs"])
    compiler = load_catalogue().stacks["cuda-like"]["compiler"][0]
    assert first - again == compiler.fact("recompile_us") * 1_000_000


def test_a_batch_costs_what_a_run_of_it_costs(capsys: Capture) -> None:
    runs = told(capsys, *CUDA, "--no-values")["runs"]
    alone = told(capsys, *CUDA[:4], "--no-values", "--set", "batch=8")
    assert runs[-1] == {
        "batch": 8,
        "compiles": 0,
        "recompiles": 0,
        "latency_ps": alone["latency_ps"],
        "values": None,
    }


def test_a_file_with_a_symbolic_batch_is_run_too(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("x", "y")
    )
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight]
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    path.write_bytes(made.SerializeToString())
    assert main(["run", str(path), "--stack", "rocm-like", "--batches", "2,3,2"]) == 0
    text = capsys.readouterr().out
    assert "values   equal to onnxruntime" in text
    assert [line.split("|")[3].strip() for line in text.splitlines()[4:7]] == ["1", "1", "0"]


def test_a_swap_shows_what_both_stacks_compile(capsys: Capture) -> None:
    swap = ("swap", "cuda-like", "--replace", "kernels=cublas-like", "-m", "mlp")
    found = told(capsys, *swap, "--batches", "1,8,1")
    assert {name: compiles(runs) for name, runs in found["batches"].items()} == {
        "before": [1, 1, 0],
        "after": [1, 1, 0],
    }
    assert "batches" not in told(capsys, *swap)


def test_a_static_compiler_refuses_an_open_batch(capsys: Capture) -> None:
    assert main(["run", "mlp", "--stack", "rbln-like", "--batches", "1,8"]) == 4
    error = capsys.readouterr().err
    assert "the compiler takes the graph: have shapes as numbers, need dimension batch" in error
    swap = ("swap", "rbln-like", "--replace", "front_end=jax-like", "-m", "mlp")
    found = told(capsys, *swap, "--batches", "1")
    assert (found["outcome"], found["error"]["name"]) == ("native-failure", "DynamicShape")
    assert found["batches"] == {}


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--stack", "cuda-like", "--batches", "1,x"), "--batches 1,x: write whole numbers"),
        (("--stack", "cuda-like", "--batches", "0"), "--batches 0: write whole numbers"),
        (("--stack", "cuda-like", "--batches", ""), "--batches : write whole numbers"),
        (("--batches", "1"), "--batches 1: goes with --stack NAME"),
        (
            ("--stack", "cuda-like", "--batches", "1", "--fusion", "none"),
            "--fusion: does not go with --batches 1",
        ),
        (("--stack", "cuda-lik", "--batches", "1"), "did you mean 'cuda-like'?"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(
    capsys: Capture, flags: tuple[str, ...], why: str
) -> None:
    assert main(["run", "mlp", *flags]) == 2
    error = capsys.readouterr().err
    assert (why in error, error.count("\n")) == (True, 1)


def test_wrong_values_are_noticed_after_the_table(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def zeros(model: Model, inputs: Mapping[str, Array]) -> dict[str, Array]:
        del inputs
        return {value.name: np.zeros((1, 10), np.float32) for value in model.proto.graph.output}

    monkeypatch.setattr(sizes, "onnxruntime_outputs", zeros)
    assert main(["run", "mlp", "--stack", "cuda-like", "--batches", "1"]) == 1
    seen = capsys.readouterr()
    assert "NOT as onnxruntime" in seen.out
    assert "the values of batch 1 are not as onnxruntime" in seen.err
