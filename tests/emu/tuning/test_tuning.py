"""`emu tune`: a table of what every kernel gained, and a file that later runs use."""

import json
from pathlib import Path

import pytest

from emu.cli import main

FLAGS = ("bert_layer", "--set", "seq=16", "-d", "npu", "--kernels", "generated")


def test_tune_prints_every_kernel_and_a_run_uses_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "t.db")
    assert main(["tune", *FLAGS, "--tune-trials", "3", "--tuning-db", path, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "emu.tune/1"
    assert told["stack"]["compiler"]["trials"] == 3
    for kernel in told["kernels"]:
        assert kernel["after_ps"] <= kernel["before_ps"]
        assert kernel["trials"] == 3
    assert told["after_ps"] <= told["before_ps"]

    assert main(["run", *FLAGS, "--tuning-db", path, "--no-values", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["latency_ps"] == told["after_ps"]

    assert main(["tune", *FLAGS, "--tune-trials", "3", "--tuning-db", path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "bert_layer on npu"
    assert len([line for line in lines if "loops " in line]) == len(told["kernels"])
    assert lines[-1].startswith("whole run: ")
    assert max(map(len, lines)) <= 80


def test_where_the_library_has_every_kernel_there_is_nothing_to_tune(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["tune", "mlp", "--tune-trials", "2"]) == 0
    assert "nothing to tune" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["tune", "mlp"], "--tune-trials: say how many tilings to try"),
        (["run", "mlp", "--tuning-db", "none.db"], "--tuning-db none.db: there is no such file"),
        (["run", "mlp", "--tiling", "tuned"], "--tiling tuned: needs --tune-trials N"),
        (["run", "mlp", "--tiling", "tunde"], "unknown tiling 'tunde'; did you mean 'tuned'?"),
        (["run", "mlp", "--fallback", "hots"], "unknown fallback 'hots'; did you mean 'host'?"),
    ],
)
def test_a_wrong_flag_is_one_line(
    flags: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"emu: {why}")
    assert told.err.count("\n") == 1
