"""The command line as a user meets it: what it prints, and how it says no."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from emu import compile
from emu.files import write_arrays
from emu.ir.types import Array
from emu.models.model import Model
from tests.emu.cases import Call

SMALL = ["diamond", "--device", "systolic"]


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, emu.cli\n"
        "assert emu.cli.main(['--help']) == 0\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout


@pytest.mark.parametrize(
    "command",
    ["run", "show", "explain", "perturb", "coverage", "ops", "list", "export", "doctor"],
)
def test_help_of_every_command_ends_with_examples(run: Call, command: str) -> None:
    code, out, _ = run(command, "--help")

    assert code == 0
    assert "Example" in out.strip().splitlines()[-1] or "emu " in out.strip().splitlines()[-1]


def test_run_reports_on_80_columns_and_in_the_same_words_each_time(run: Call) -> None:
    first, second = run("run", *SMALL), run("run", *SMALL)

    assert first == second
    assert first[0] == 0
    assert max(map(len, first[1].splitlines())) <= 80
    for word in ("latency", "coverage", "as onnxruntime", "| useful", "| sum", "peak memory"):
        assert word in first[1]


def test_json_has_the_stable_keys_and_its_sums_are_exact(run: Call) -> None:
    code, out, _ = run("run", *SMALL, "--fusion", "global", "--json")
    found = json.loads(out)

    assert code == 0
    assert found["schema"] == "emu.run/1"
    keys = (
        "model stack latency_ps ledger groups nodes boundary_bytes dram_bytes peak_onchip_bytes "
        "peak_device_bytes energy_pj coverage utilisation values per_group"
    )
    assert set(keys.split()) <= set(found)
    assert set(found["stack"]) == {
        "front_end",
        "compiler",
        "kernels",
        "driver",
        "device",
        "orchestrator",
    }
    assert sum(found["ledger"].values()) == found["latency_ps"]
    assert sum(g["ps"] for g in found["per_group"]) == found["latency_ps"]
    assert all(sum(g["ledger"].values()) == g["ps"] for g in found["per_group"])
    assert found["values"]["ok"] is True
    assert list(found["coverage"]) == ["native", "generated", "composed", "host", "refused"]


@pytest.mark.parametrize(
    ("fusion", "passes", "groups", "moved"),
    [
        ("none", None, 175, 323.6),
        ("none", "fold-batch-norm", 122, 234.7),
        ("pattern", None, 89, 201.9),
        ("vertical", None, 57, 113.6),
    ],
)
def test_resnet50_has_the_groups_and_traffic_that_compilers_agree_on(
    run: Call, fusion: str, passes: str | None, groups: int, moved: float
) -> None:
    flags = [] if passes is None else ["--passes", passes]
    _, out, _ = run("run", "resnet50", "--fusion", fusion, "--no-values", "--json", *flags)
    found = json.loads(out)
    boundary = found["boundary_bytes"]

    assert found["groups"] == groups
    crossed = boundary["activations_read"] + boundary["activations_written"]
    assert round(crossed / 1e6, 1) == moved
    assert round(boundary["weights"] / 1e6, 1) == (102.4 if groups == 175 else 102.1)
    assert found["values"] is None


@pytest.mark.parametrize(("fusion", "groups"), [("none", 49), ("pattern", 28), ("vertical", 17)])
def test_bert_layer_has_the_groups_that_compilers_agree_on(
    run: Call, fusion: str, groups: int
) -> None:
    _, out, _ = run("run", "bert_layer", "--fusion", fusion, "--no-values", "--json")

    assert json.loads(out)["groups"] == groups


def test_several_settings_may_follow_one_flag(run: Call) -> None:
    _, out, _ = run("run", "attention", "--set", "batch=2", "seq=64", "--no-values", "--json")
    _, same, _ = run(
        "run", "attention", "--set", "seq=64", "--set", "batch=2", "--no-values", "--json"
    )

    assert json.loads(out) == json.loads(same)


def test_values_are_written_and_read_again(run: Call, tmp_path: Path) -> None:
    given, made = tmp_path / "in.npz", tmp_path / "out.npz"
    np.savez(given, x=np.ones((64, 256), np.float32))
    code, _, _ = run(
        "run", *SMALL, "--inputs", str(given), "--outputs", str(made), "--executor", "tiles"
    )

    assert code == 0
    with np.load(made) as stored:
        assert all(np.isfinite(stored[name]).all() for name in stored.files)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npz", "out.npz"]


@pytest.mark.parametrize("level", ["graph", "fused", "kernel", "tile", "device"])
def test_every_level_prints_as_mlir(run: Call, level: str) -> None:
    code, out, err = run("show", "conv_block", "--level", level, "--device", "npu")

    assert (code, err) == (0, "")
    assert '"builtin.module"()' in out


def test_ir_is_printed_dumped_and_timed_on_the_way(run: Call, tmp_path: Path) -> None:
    folder = tmp_path / "ir"
    code, _, err = run(
        "run",
        *SMALL,
        "--no-values",
        "--time-passes",
        "--print-ir-after",
        "remove-dead",
        "--dump-ir",
        str(folder),
    )

    assert code == 0
    assert err.count("IR after") == 1
    assert "IR after remove-dead" in err
    assert "simulate" in err
    assert len(list(folder.glob("*.mlir"))) == 7
    _, _, every = run("run", *SMALL, "--no-values", "--print-ir-after-all")
    assert every.count("IR after") == 7


@pytest.mark.parametrize("kind", ["devices", "models", "kernels", "scopes", "passes"])
def test_lists_are_text_or_json(run: Call, kind: str) -> None:
    _, text, _ = run("list", kind)
    _, out, _ = run("list", kind, "--json")
    found = json.loads(out)

    assert (found["schema"], found["kind"]) == ("emu.list/1", kind)
    assert all(item["name"] in text for item in found["items"])


def test_an_exported_model_runs_as_the_zoo_model_does(run: Call, tmp_path: Path) -> None:
    file = tmp_path / "mlp.onnx"
    assert run("export", "mlp", "-o", str(file))[0] == 0
    _, zoo, _ = run("run", "mlp", "--json")
    code, out, _ = run("run", str(file), "--json")

    assert code == 0
    assert json.loads(out)["latency_ps"] == json.loads(zoo)["latency_ps"]
    assert json.loads(out)["values"]["ok"] is True


def test_doctor_finds_this_installation_well(run: Call) -> None:
    code, out, _ = run("doctor")

    assert code == 0
    assert out.strip().endswith("all is well")


def test_wrong_values_are_reported_and_exit_with_1(
    run: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nines(_model: Model, _inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict.fromkeys(compile("diamond").compiled.graph.outputs, np.full((64, 256), 9.0))

    monkeypatch.setattr("emu.executing.values.onnxruntime_outputs", nines)
    code, out, _ = run("run", *SMALL)

    assert code == 1
    assert "NOT" in out


REFUSED = [
    (["run", "resnet51"], 2, "did you mean 'resnet50'"),
    (["run", "MLP"], 2, "did you mean 'mlp'"),
    (["run", ""], 2, "known: attention"),
    (["run", "mlp", "--device", "gpv"], 2, "did you mean 'gpu'"),
    (["run", "mlp", "--fusion", "verticel"], 2, "did you mean 'vertical'"),
    (["run", "mlp", "--kernels", "dep"], 2, "did you mean 'deep'"),
    (["run", "mlp", "--passes", "fold-batchnorm"], 2, "did you mean 'fold-batch-norm'"),
    (["run", "mlp", "--print-ir-after", "remove-ded"], 2, "did you mean 'remove-dead'"),
    (["run", "mlp", "--device", "systolic", "--array-model", "scalsim-ws"], 2, "scalesim-ws"),
    (["run", "mlp", "--array-model", "scalesim-ws"], 2, "no matrix array"),
    (["run", "mlp", "--executor", "quick"], 2, "known: fast, tiles"),
    (["run", "mlp", "--set", "bach=2"], 2, "did you mean 'batch'"),
    (["run", "mlp", "--set", "batch=0"], 2, "batch"),
    (["run", "mlp", "--set", "batch=x"], 2, "KEY=N"),
    (["run", "mlp", "--set", "batch=-1"], 2, "KEY=N"),
    (["run", "mlp", "--set", "batch"], 2, "KEY=N"),
    (["run", "mlp", "--set"], 2, "requires an argument"),
    (["run", "mlp", "--set", "layers=100000000"], 2, "at most 1000"),
    (["run", "mlp", "--set", "batch=2", "batch=3"], 2, "given twice"),
    (["run", "mlp", "--dim", "n=2"], 2, "it has --set"),
    (["run", "mlp", "--no-values", "--outputs", "o.npz"], 2, "--no-values"),
    (["run", "mlp", "--outputs", "missing/o.npz"], 2, "its folder does not exist"),
    (["run", "mlp", "--inputs", "missing.npz"], 2, "no such file"),
    (["run", "missing.onnx"], 2, "missing.onnx"),
    (["run", "mlp", "--bogus"], 2, "--bogus"),
    (["rnu", "mlp"], 2, "run"),
    (["show", "mlp", "--level", "grph"], 2, "did you mean 'graph'"),
    (["list", "device"], 2, "did you mean 'devices'"),
    (["export", "mlp", "-o", "missing/m.onnx"], 2, "missing"),
    (["run", "mlp", "--no-values", "--set", "hidden=200000", "layers=4"], 3, "gpu"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSED)
def test_a_mistake_is_one_line_and_an_exit_code(
    run: Call,
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = run(*arguments)

    assert (found, out) == (code, "")
    assert err.startswith("emu: ")
    assert err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def model_file(path: Path, op: str, shape: list[int | str]) -> str:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], name="mine")], "g", [x], [y])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(made.SerializeToString())
    return str(path)


def test_files_that_cannot_be_used_are_named_with_the_reason(run: Call, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x08\xff\xff\xff not a model")
    empty = tmp_path / "empty.onnx"
    empty.touch()
    symbolic = model_file(tmp_path / "symbolic.onnx", "Relu", ["N", 4])
    unknown = model_file(tmp_path / "unknown.onnx", "Unheard", [4, 4])
    for arguments, code, said in (
        ([str(broken)], 2, "broken.onnx"),
        ([str(empty)], 2, "the file is empty"),
        ([str(tmp_path)], 2, str(tmp_path.name)),
        ([symbolic], 2, "--dim N="),
        ([symbolic, "--dim", "M=2"], 2, "N"),
        ([unknown], 4, "mine"),
        ([symbolic, "--set", "N=2"], 2, "it has --dim"),
    ):
        found, out, err = run("run", *arguments)
        assert (found, out) == (code, "")
        assert err.count("\n") == 1
        assert said in err
    assert run("run", symbolic, "--dim", "N=3")[0] == 0


def test_inputs_that_do_not_fit_are_refused_by_name(run: Call, tmp_path: Path) -> None:
    file = tmp_path / "in.npz"
    wrong = (
        ({"y": np.ones((64, 256), np.float32)}, "known: x"),
        ({"x": np.ones((64, 255), np.float32)}, "255"),
        ({"x": np.ones((64, 256), np.int32)}, "int32"),
    )
    for arrays, said in wrong:
        write_arrays(file, arrays)
        code, _, err = run("run", *SMALL, "--inputs", str(file))
        assert code == 2
        assert said in err
        assert err.count("\n") == 1
    np.savez(file, x=np.array([{}], dtype=object))
    assert run("run", *SMALL, "--inputs", str(file))[0] == 2
    file.write_bytes(b"not a zip")
    assert run("run", *SMALL, "--inputs", str(file))[0] == 2
