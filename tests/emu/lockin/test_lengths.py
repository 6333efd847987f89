"""``--lengths``: sequences run as they are met, or padded in programs of a few lengths."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from emu.cli import main
from emu.executing.reference import onnxruntime_outputs
from emu.executing.values import compare
from emu.ir.errors import BadOption, EmuError
from emu.ir.types import Array
from emu.lockin import sizes
from emu.lockin.buckets import Buckets
from emu.lockin.catalogue import load_catalogue
from emu.lockin.dimension import LENGTH
from emu.lockin.pieces import Pieces, Rows
from emu.lockin.sizes import run_sizes
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.inputs import random_inputs
from emu.models.model import Model
from emu.models.reader import read_model, to_graph
from emu.models.zoo import build
from tests.corpus.cases import FILES

Capture = pytest.CaptureFixture[str]
Shape = list[int | str]
KNOWN = load_catalogue()
SMALL = ("hidden=64", "heads=4", "vocab=64", "layers=1", "past=3")
DECODER = ("run", "decoder", "--set", *SMALL)
STATIC = (*DECODER, "--stack", "rbln-like")


def model(length: int) -> Model:
    sizes = {"hidden": 64, "heads": 4, "vocab": 64, "layers": 1, "past": 3}
    return build("decoder", {**sizes, "seq": length})


def graph(length: int) -> Any:
    return to_graph(model(length), {})


def buckets(*sizes: int, bound: Callable[[int], Any] = graph) -> Buckets:
    laboratory = Laboratory(KNOWN, Source(bound(sizes[0]), (), ("seq",), bound))
    return Buckets(KNOWN.stacks["rbln-like"], laboratory, sizes, LENGTH)


def told(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def file(path: Path, nodes: Sequence[Any], inputs: Any, outputs: dict[str, Shape]) -> str:
    """A file with inputs, a type and shape each, and outputs of f32."""
    given = [helper.make_tensor_value_info(n, *type) for n, type in inputs.items()]
    float32 = TensorProto.FLOAT
    made = [helper.make_tensor_value_info(n, float32, shape) for n, shape in outputs.items()]
    low = helper.make_tensor("low", float32, (), [-1e9])
    whole = helper.make_graph(nodes, "g", given, made, [low])
    opset = [helper.make_opsetid("", 17)]
    proto = helper.make_model(whole, opset_imports=opset, ir_version=8)
    path.write_bytes(proto.SerializeToString())
    return str(path)


def masked(path: Path, mask: str) -> str:
    """Attention in which x asks itself, as far as ``mask`` of every two of its places shows it."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "turned"], ["scores"]),
        helper.make_node("Where", [mask, "scores", "low"], ["seen"]),
        helper.make_node("Softmax", ["seen"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "x"], ["y"]),
    ]
    inputs = {
        "x": (TensorProto.FLOAT, ["sequence_length", 4]),
        mask: (TensorProto.BOOL, ["sequence_length", "sequence_length"]),
    }
    outputs: dict[str, Shape] = {
        "y": ["sequence_length", 4],
        "shares": ["sequence_length", "sequence_length"],
    }
    return file(path, nodes, inputs, outputs)


def test_a_length_takes_the_smallest_bucket_that_holds_it_and_costs_what_that_costs(
    capsys: Capture,
) -> None:
    found = told(capsys, *STATIC, "--lengths", "3,8,2,5", "--buckets", "8,3", "--no-values")
    assert found["schema"] == "emu.lengths/1"
    assert [run["length"] for run in found["runs"]] == [3, 8, 2, 5]
    assert [run["buckets"] for run in found["runs"]] == [[3], [8], [3], [8]]
    main([*DECODER, "seq=8", "--stack", "rbln-like", "--no-values", "--json"])
    alone = json.loads(capsys.readouterr().out)["latency_ps"]
    short, full, shorter, padded = (run["latency_ps"] for run in found["runs"])
    assert (full, padded, shorter) == (alone, alone, short)
    assert all(run["compiles"] == 0 for run in found["runs"])  # compiled ahead


def test_each_bucket_is_compiled_once() -> None:
    found = buckets(2, 5)
    run_sizes(found, (1, 2, 4, 5, 3, 1))
    assert [session.programs.misses for session in found.sessions.values()] == [1, 1]


@pytest.mark.parametrize("stack", ["rbln-like", "furiosa-like", "cuda-like"])
def test_a_causal_model_has_the_values_of_the_length_in_any_bucket(
    stack: str, capsys: Capture
) -> None:
    run = (*DECODER, "--stack", stack, "--lengths", "1,4,7", "--buckets", "4,8")
    assert [one["values"] for one in told(capsys, *run)["runs"]] == [True] * 3


def test_gpt2_runs_its_prompts_in_buckets(capsys: Capture) -> None:
    run = ("run", "gpt2", "--set", "layers=1", "--stack", "rbln-like", "--lengths", "5")
    assert [one["values"] for one in told(capsys, *run, "--buckets", "8")["runs"]] == [True]


@pytest.mark.parametrize("name", ["bert", "bert_new"])
def test_a_bert_from_torch_is_masked_by_zeros_behind_its_mask(name: str, capsys: Capture) -> None:
    run = ("run", str(FILES / f"{name}.onnx"), "--dim", "batch=2", "--stack", "rbln-like")
    found = told(capsys, *run, "--lengths", "5,1", "--buckets", "8")
    assert [one["values"] for one in found["runs"]] == [True, True]


def test_a_causal_file_from_torch_runs_in_buckets(capsys: Capture) -> None:
    run = ("run", str(FILES / "gpt.onnx"), "--stack", "furiosa-like", "--lengths", "5,7")
    found = told(capsys, *run, "--buckets", "6,8")
    assert [(one["values"], one["buckets"]) for one in found["runs"]] == [(True, [6]), (True, [8])]


def test_masks_of_every_two_places_are_padded_along_both(capsys: Capture, tmp_path: Path) -> None:
    path = masked(tmp_path / "open.onnx", "attention_mask")
    run = ("run", path, "--stack", "rbln-like", "--lengths", "3,6", "--buckets", "6")
    assert [one["values"] for one in told(capsys, *run)["runs"]] == [True, True]


def test_a_mask_shows_all_that_is_no_padding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[int] = []

    def asked(model: Model, inputs: Mapping[str, Array]) -> dict[str, Array]:
        seen.append(int(inputs["attention_mask"].sum()))
        return onnxruntime_outputs(model, inputs)

    monkeypatch.setattr(sizes, "onnxruntime_outputs", asked)
    opened = read_model(Path(masked(tmp_path / "open.onnx", "attention_mask")))
    made = buckets(6, bound=lambda length: to_graph(opened, {"sequence_length": length}))
    run_sizes(made, (3,), lambda _: opened)
    assert seen == [9, 9]  # by itself, and with zeros behind it


def test_outputs_are_those_of_the_length_and_of_no_padding() -> None:
    found = buckets(8)
    inputs = random_inputs(graph(5), 0)
    outputs = found.run(inputs, 5).outputs
    known = onnxruntime_outputs(model(5), inputs)
    assert {n: a.shape for n, a in outputs.items()} == {n: a.shape for n, a in known.items()}
    assert outputs["layer0.present.k"].shape == (1, 2, 3 + 5, 16)  # the cache, then what is new
    assert compare(outputs, known, 1e-2).ok


@pytest.mark.parametrize(
    ("name", "length", "bucket"), [("attention", 5, 8), ("bert_layer", 511, 512)]
)
def test_an_unmasked_model_is_refused_in_a_bucket_that_it_does_not_fill(
    name: str, length: int, bucket: int, capsys: Capture
) -> None:
    run = ("run", name, "--stack", "furiosa-like", "--lengths", str(length))
    assert main([*run, "--buckets", str(bucket)]) == 1
    seen = capsys.readouterr()
    assert (seen.out, seen.err.count("\n")) == ("", 1)
    assert f"length {length}, run in {bucket}: padded positions reach the outputs" in seen.err
    assert "as the model masks none of them; the values are not as onnxruntime" in seen.err


def test_an_unmasked_model_runs_in_a_full_bucket_and_is_priced_in_any(capsys: Capture) -> None:
    run = ("run", "attention", "--stack", "rbln-like", "--buckets", "8", "--lengths")
    assert [one["values"] for one in told(capsys, *run, "8")["runs"]] == [True]
    full, padded = told(capsys, *run, "8,5", "--no-values")["runs"]
    assert full["latency_ps"] == padded["latency_ps"]


def test_a_model_whose_batch_sees_itself_is_refused_in_buckets(
    capsys: Capture, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0]),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    shape: Shape = ["batch", 4]
    path = file(tmp_path / "f.onnx", nodes, {"x": (TensorProto.FLOAT, shape)}, {"y": shape})
    run = ("run", path, "--stack", "rbln-like", "--batches", "8,3")
    assert main([*run, "--buckets", "2"]) == 1
    why = "batch 8, run in 4 x 2: what is padded or run apart reaches the outputs"
    assert why in capsys.readouterr().err
    assert main([*run, "--buckets", "3,8"]) == 0


def test_refusals_are_errors_of_python_too() -> None:
    def attention(length: int) -> Model:
        return build("attention", {"seq": length, "heads": 1})

    def opened(length: int) -> Any:
        return to_graph(attention(length), {})

    with pytest.raises(EmuError, match="length 2, run in 3: padded positions reach the outputs"):
        run_sizes(buckets(3, bound=opened), (2,), attention)
    with pytest.raises(BadOption, match="a length of 9 is over the largest, 3, and cannot be spl"):
        run_sizes(buckets(2, 3, bound=opened), (2, 9))


def test_without_buckets_each_length_is_compiled_when_it_is_met(capsys: Capture) -> None:
    found = told(capsys, *DECODER, "--stack", "cuda-like", "--lengths", "4,7,4")
    assert [run["compiles"] for run in found["runs"]] == [1, 1, 0]
    assert [run["values"] for run in found["runs"]] == [True] * 3
    assert main([*STATIC, "--lengths", "4,7"]) == 4
    error = capsys.readouterr().err
    assert "the compiler takes the graph: have shapes as numbers, need dimension seq" in error


def test_a_table_names_the_lengths(capsys: Capture) -> None:
    assert main([*STATIC, "--lengths", "2", "--buckets", "3"]) == 0
    text = capsys.readouterr().out
    assert [cell.strip() for cell in text.splitlines()[2].split("|")[1:3]] == ["length", "run in"]
    assert "values   equal to onnxruntime" in text


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ([3], [5]),  # 2 more for 3 more
        ([3], [2]),
        ([3], [6, 1]),
    ],
)
def test_a_value_that_does_not_grow_evenly_is_refused(
    short: Shape, long: Shape, tmp_path: Path
) -> None:
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    found: dict[int, Any] = {}
    for length, shape in ((3, short), (6, long)):
        inputs = {"x": (TensorProto.FLOAT, shape)}
        path = file(tmp_path / f"{length}.onnx", relu, inputs, {"y": shape})
        found[length] = to_graph(read_model(Path(path)), {})
    made = buckets(6, bound=found.__getitem__)
    with pytest.raises(BadOption, match="does not grow by whole rows from bucket to bucket"):
        made.run(random_inputs(found[3], 0), 3)


def test_rows_are_padded_and_cut_along_all_axes_that_grow() -> None:
    pieces = Pieces(2, (3,), {"x": Rows((1, 1)), "y": Rows((0, 2))})
    x, y = np.ones((2, 5)), np.arange(10).reshape(2, 5)
    ((part, given),) = pieces.given({"x": x, "y": y})
    assert (part, given["x"].shape, given["y"].shape) == (3, (3, 6), (2, 7))
    assert (given["x"].sum(), given["y"].sum()) == (x.sum(), y.sum())
    whole = pieces.whole([given])
    np.testing.assert_array_equal(whole["x"], x)
    np.testing.assert_array_equal(whole["y"], y)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--lengths", "x"), "--lengths x: write whole numbers"),
        (("--lengths", "1", "--batches", "2"), "--lengths 1: does not go with --batches 2"),
        (("--lengths", "1", "--threads", "2"), "--threads: does not go with --lengths 1"),
        (
            ("--lengths", "4,300", "--buckets", "8,32"),
            "--buckets: a length of 300 is over the largest, 32, and cannot be split",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(
    capsys: Capture, flags: tuple[str, ...], why: str
) -> None:
    assert main([*STATIC, *flags]) == 2
    error = capsys.readouterr().err
    assert (why in error, error.count("\n")) == (True, 1)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("mlp", "mlp has no setting seq or seq_len or sequence or sequence_length to leave open;"),
        ("lstm.onnx", "sequence or sequence_length to leave open; it has n\n"),
        ("translate.onnx", "to leave open; it has numbers only\n"),
    ],
)
def test_a_model_without_a_length_says_what_it_has(capsys: Capture, model: str, why: str) -> None:
    named = str(FILES / model) if model.endswith(".onnx") else model
    assert main(["run", named, "--stack", "cuda-like", "--lengths", "4"]) == 2
    assert why in capsys.readouterr().err
    assert main(["run", "decoder", "--lengths", "4"]) == 2
    assert "--lengths 4: goes with --stack NAME" in capsys.readouterr().err
