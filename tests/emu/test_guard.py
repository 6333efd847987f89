"""Commands about files run in a process of their own, and whatever happens to it is one line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emu import guard
from emu.cli import main
from emu.flags import limits_of
from emu.foreign import is_file
from emu.guard import run_guarded
from emu.ir.errors import BadOption, Crashed, OverLimit
from emu.models.limits import Limits
from tests.hostile.cases import valid
from tests.models.small_models import saved

Play = Callable[[str], None]

BEGIN = """
import os, sys
from mmap import mmap
place = mmap(int(sys.argv[1]), 256)
place[:] = b"node 'n' (Conv)".ljust(256, b"\\0")
"""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Let the process of the guard do something else than emu; it has noted a place."""

    def prepare(code: str) -> None:
        (tmp_path / "stand_in.py").write_text(BEGIN + code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(guard, "ALONE", "stand_in")

    return prepare


def test_what_a_process_prints_is_handed_on(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    play("print('größe'); print('so it is', file=sys.stderr); sys.exit(3)")
    assert run_guarded([], Limits()) == 3
    assert capsys.readouterr() == ("größe\n", "so it is\n")


@pytest.mark.parametrize(
    ("code", "limits", "error", "why"),
    [
        ("while True: pass", {"seconds": 1}, OverLimit, "took over 1 seconds"),
        ("os.close(1); os.close(2)\nwhile True: pass", {"seconds": 1}, OverLimit, "took over 1"),
        ("while True: print('y' * 9999)", {"printed_bytes": 99}, OverLimit, "printed over 99"),
        ("os.kill(os.getpid(), 11)", {}, Crashed, "the process crashed .SIGSEGV"),
        ("os.abort()", {}, Crashed, "the process crashed .SIGABRT"),
        ("os.kill(os.getpid(), 9)", {}, OverLimit, "ended by the system"),
    ],
)
def test_a_process_that_has_to_be_ended_is_told_with_its_place(
    play: Play, code: str, limits: dict[str, int], error: type[Exception], why: str
) -> None:
    play(code)
    with pytest.raises(error, match=f"node 'n' .Conv.: {why}"):
        run_guarded([], Limits(**limits))


@pytest.mark.checkout  # where emu is installed, the real package beside it comes first
def test_what_c_code_prints_is_not_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = "import os\nos.write(2, b'a warning of C code')\n"
    (tmp_path / "sitecustomize.py").write_text("import atexit\natexit.register(lambda: None)\n")
    (tmp_path / "onnxruntime.py").write_text(noisy + "raise ImportError('none here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = saved(tmp_path / "m.onnx", valid())
    assert main(["run", str(path)]) == 2
    said = capfd.readouterr().err
    assert "a warning of C code" not in said
    assert "none here" in said


def test_a_module_beside_the_model_is_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken over')")
    (tmp_path / "onnx.py").write_text("raise SystemExit('taken over')")
    saved(tmp_path / "m.onnx", valid())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert main(["run", "m.onnx", "--no-values"]) == 0
    assert "valid" not in capsys.readouterr().err


def test_memory_that_a_file_asks_for_is_limited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "m.onnx", valid())
    assert main(["run", str(path), "--limits", f"memory_bytes={60 << 20}"]) in (2, 4)
    assert capsys.readouterr().err.count("\n") == 1


def test_an_interrupted_command_leaves_no_process(play: Play, tmp_path: Path) -> None:
    here = tmp_path / "pid"
    play(f"open({str(here)!r}, 'w').write(str(os.getpid()))\nwhile True: pass")
    with pytest.raises(OverLimit):
        run_guarded([], Limits(seconds=1))
    with pytest.raises(ProcessLookupError):
        os.kill(int(here.read_text()), 0)


APART = """
import struct, time
def apart(seconds): os.pwrite(int(sys.argv[1]), struct.pack("d", seconds), 256)
"""


def test_time_that_an_installation_needs_once_is_not_that_of_the_file(play: Play) -> None:
    play(f"{APART}\napart(9); time.sleep(1.3); apart(1.3)\ntime.sleep(0.3)")
    assert run_guarded([], Limits(seconds=1)) == 0


@pytest.mark.parametrize("seconds", [0.2, float("-inf"), float("nan")])
def test_time_apart_does_not_lift_the_limit(play: Play, seconds: float) -> None:
    play(f"{APART}\napart(float('{seconds}'))\nos.close(1); os.close(2)\nwhile True: pass")
    with pytest.raises(OverLimit, match="took over 1 seconds"):
        run_guarded([], Limits(seconds=1))


READY = "from emu.kernels.native.ready import make_ready; print(make_ready())"


def test_machine_code_is_compiled_once_and_then_found_on_disk(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", READY]
    said = [subprocess.check_output(command, env=environment, text=True) for _ in range(2)]
    assert said == ["True\n", "False\n"]


@pytest.mark.parametrize(
    "command",
    ["run", "show", "ladder", "perturb", "coverage", "tune", "explain", "export -o c", "diff -m m"],
)
def test_every_command_about_a_file_is_handed_to_the_guard(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[tuple[str, ...], Limits]] = []

    def stand_in(arguments: tuple[str, ...], limits: Limits) -> int:
        called.append((arguments, limits))
        return 4

    monkeypatch.setattr(guard, "run_guarded", stand_in)
    name, *more = command.split()
    sides = ["--fusion none", "m.onnx"] if name == "diff" else ["m.onnx"]
    words = [name, *sides, *more, "--limits", "nodes=5"]
    assert main(words) == 4
    assert called == [(tuple(words), Limits(nodes=5))]


def test_limits_go_on_in_the_words_after_them() -> None:
    assert limits_of(["nodes=5"], ["seconds=3", "N=4"]) == Limits(nodes=5, seconds=3)
    assert limits_of(None, ["seconds=3"]) == Limits()
    with pytest.raises(BadOption, match="given twice"):
        limits_of(["nodes=5"], ["nodes=6"])


def test_limits_are_flags_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(saved(tmp_path / "m.onnx", valid()))
    assert main(["run", path, "--limits", "nodes=3", "seconds=9"]) == 2
    assert "has 4 nodes or more; the limit is 3 (--limits nodes=N)" in capsys.readouterr().err
    assert main(["run", path, "--limits", "node=3"]) == 2
    assert "unknown limit 'node'; did you mean 'nodes'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet50", False),
        ("m.onnx", True),
        ("models/m", True),
        ("m.onnx --fusion none", True),
        ("resnet50 --fusion none", False),
        ("--fusion none", False),
        ("'unended", False),
        ("", False),
        ("x" * 5000, False),
        (sys.executable, True),
    ],
)
def test_a_file_is_told_from_a_model_of_the_zoo(text: str, expected: bool) -> None:
    assert is_file(text) is expected
