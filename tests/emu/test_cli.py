"""The edges of the command line: broken pipes, full disks, hostile names, interrupts, files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from emu import commands
from emu.cli import main
from emu.ir.errors import EmuError
from emu.pipeline import Executable
from emu.run import Run
from tests.emu import by_hand

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture, *arguments: str) -> str:
    """What a command that ends well prints; it says nothing on stderr."""
    assert main(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def complaint(capsys: Capture, code: int, *arguments: str) -> str:
    """The one line that a refused command says."""
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err[:5]) == ("", 1, "emu: ")
    return err


def model(path: Path, op: str = "Relu", name: str = "node", value: str = "x") -> str:
    """A file with one node and a symbolic first dimension N."""
    node = helper.make_node(op, [value], ["y"], name=name)
    given, made = (
        helper.make_tensor_value_info(v, TensorProto.FLOAT, ["N", 3]) for v in (value, "y")
    )
    graph = helper.make_graph([node], "g", [given], [made])
    opset = [helper.make_opsetid("", 17)]
    proto = helper.make_model(graph, opset_imports=opset, ir_version=8)
    path.write_bytes(proto.SerializeToString())
    return str(path)


def test_emu_alone_prints_its_help(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["emu"])
    assert main() == 0
    assert capsys.readouterr().out == printed(capsys, "--help")


@pytest.mark.parametrize("command", ["run", "show", "list", "export", "doctor"])
def test_the_examples_of_a_help_text_stand_one_a_line(capsys: Capture, command: str) -> None:
    text = printed(capsys, command, "--help")
    examples = text.partition("Examples:\n")[2].splitlines()
    assert examples
    assert all(line.strip().startswith(f"emu {command}") for line in examples)


def test_passes_are_chosen_by_hand_and_none_is_none(capsys: Capture) -> None:
    for flag, names in (("remove-dead, infer-types", ["remove-dead", "infer-types"]), ("", [])):
        text = printed(capsys, "run", "mlp", "--no-values", "--json", "--passes", flag)
        assert json.loads(text)["stack"]["compiler"]["passes"] == names


def test_the_seed_decides_the_inputs(capsys: Capture, tmp_path: Path) -> None:
    contents: list[bytes] = []
    for seed in ("0", "0", "1"):
        file = tmp_path / f"{len(contents)}.npz"
        printed(capsys, "run", "mlp", "--no-check", "--seed", seed, "--outputs", str(file))
        with np.load(file) as arrays:
            contents.append(b"".join(arrays[name].tobytes() for name in arrays.files))
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "Missing argument 'model'"),
        (["runn", "mlp"], "Did you mean 'run'?"),
        (["run", "mlp", "--devise", "gpu"], "did you mean '--device'?"),
        (["run", "mlp", "--seed", "x"], "Invalid value for '--seed'"),
        (["run", "mlp", "--executor", "tile", "--no-values"], "did you mean 'tiles'?"),
        (["run", "mlp", "--set", f"batch={'9' * 5000}"], "a number has at most 18 digits"),
        (["run", "mlp", "batch=-1"], "write KEY=N"),
        (["run", "mlp", "--set", "batch=²"], "write KEY=N"),
    ],
)
def test_a_slip_is_refused_with_what_would_do(
    capsys: Capture, arguments: list[str], said: str
) -> None:
    assert said in complaint(capsys, 2, *arguments)


def test_a_folder_in_the_way_of_a_file_is_refused(capsys: Capture, tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert "is a folder" in complaint(capsys, 2, "run", "mlp", "--outputs", folder)
    assert "cannot be written" in complaint(capsys, 2, "export", "mlp", "-o", folder)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_exported_too_but_not_onto_itself(capsys: Capture, tmp_path: Path) -> None:
    file, copy = model(tmp_path / "m.onnx"), str(tmp_path / "copy.onnx")
    assert "wrote" in printed(capsys, "export", file, "-o", copy)
    assert "latency" in printed(capsys, "run", copy, "N=2")
    assert "onto its own file" in complaint(capsys, 2, "export", file, "-o", file)
    assert "has no settings" in complaint(capsys, 2, "export", file, "batch=2", "-o", copy)


def test_names_in_a_model_reach_no_terminal_as_they_are(capsys: Capture, tmp_path: Path) -> None:
    bad = "a\x1b[31m|\nb"
    unknown = model(tmp_path / "d.onnx", "Unheard", bad)
    assert complaint(capsys, 4, "run", unknown, "N=3").count("?") > 0
    file = model(tmp_path / "r.onnx", "Relu", bad, bad)
    texts = [printed(capsys, "run", file, "N=3")]
    texts += [printed(capsys, "show", file, "N=3", "--level", level) for level in commands.LEVELS]
    assert [text for text in texts if "\x1b" in text] == []


def test_a_terminal_without_unicode_gets_what_it_can_print(tmp_path: Path) -> None:
    file = model(tmp_path / "größe.onnx")
    flags = ["run", file, "N=2", "--no-values"]
    run = emu(*flags, stdout=subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.startswith(rb"gr\xf6\xdfe on gpu")


def test_wrong_values_are_reported_and_then_said_on_stderr(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Executable, "run", answering(by_hand.run(0.5)))
    assert main(["run", "mlp", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["values"]["ok"] is False
    assert err.startswith("emu: the values are not as onnxruntime")
    assert err.count("\n") == 1


def answering(run: Run) -> Callable[..., Run]:
    def answer(*_: object, **__: object) -> Run:
        return run

    return answer


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (
            MemoryError(),
            3,
            "emu: this machine's memory is too small (run --no-values needs little)\n",
        ),
        (EmuError("two\nlines \x1b[1m"), 1, "emu: two lines ?[1m\n"),
    ],
)
def test_whatever_stops_a_command_is_one_line_at_most(
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(commands, "run", fail)
    assert main(["run", "mlp"]) == code
    assert capsys.readouterr() == ("", said)


def emu(*arguments: str, stdout: Any, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """Run emu in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "emu", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **variables},
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_hangs_up_is_no_error(unbuffered: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    run = emu("list", "scopes", stdout=theirs, PYTHONUNBUFFERED=unbuffered)
    os.close(theirs)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        run = emu("list", "scopes", stdout=full)
    assert run.returncode == 2
    assert run.stderr == b"emu: cannot print: No space left on device\n"
