"""A run in a file comes back whole; anything else in a file is one clear line."""

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cli import main
from emu.ir.errors import BadOption, RunFileError
from emu.kept import KeptModel, KeptRun, keep
from emu.studies import run_file
from emu.studies.records import to_json
from emu.studies.run_file import is_run_file, read_run, write_run
from tests.emu import by_hand
from tests.emu.cases import DEVICES, compiled


def by_hand_run() -> KeptRun:
    return keep(by_hand.compiled(), KeptModel("hand", "hand.onnx", dims={"N": 4}), ok=True)


def text_of(body: bytes, version: int = run_file.VERSION) -> bytes:
    return f"emurun {version} {sha256(body).hexdigest()} {len(body)}\n".encode() + body


def changed(path: Path, change: Callable[[Any], object]) -> Path:
    """A file whose digest is right and whose contents are changed."""
    data = to_json(by_hand_run())
    change(data)
    path.write_bytes(text_of(json.dumps(data).encode()))
    return path


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_comes_back_as_it_was_kept(device: str, tmp_path: Path) -> None:
    kept = keep(compiled("conv_block", device, "global").compiled)
    write_run(tmp_path / "a.emurun", kept)

    assert read_run(tmp_path / "a.emurun") == kept
    assert [file.name for file in tmp_path.iterdir()] == ["a.emurun"]


def test_nothing_of_a_run_is_lost() -> None:
    made, kept = by_hand.compiled(), by_hand_run()

    assert kept.latency_ps == made.trace.total_ps
    assert kept.ledger == made.trace.ledger
    assert kept.dram_bytes == made.trace.did.traffic.total
    assert kept.decisions == made.schedule.decisions
    assert [group.nodes for group in kept.groups] == [("conv", "relu"), ("split",)]
    assert kept.groups[0].charges == {
        "conv": {"useful": 300_000, "compulsory": 1_500_000},
        "relu": {"launch": 200_000},
    }
    assert set(kept.sources) == {"conv", "bn", "relu", "split", "dropped"}
    assert kept.model == KeptModel("hand", "hand.onnx", {}, {"N": 4})


def test_a_file_is_known_by_its_name_or_by_how_it_begins(tmp_path: Path) -> None:
    write_run(tmp_path / "run.bin", by_hand_run())
    (tmp_path / "m.onnx").write_bytes(b"onnx")

    assert is_run_file("gone.emurun")
    assert is_run_file(str(tmp_path / "run.bin"))
    assert not is_run_file(str(tmp_path / "m.onnx"))
    assert not is_run_file("resnet50 --fusion none")
    assert not is_run_file("a\0b")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_file_that_was_cut_or_changed_anywhere_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "a.emurun"
    write_run(path, by_hand_run())
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = bytes([whole[at] ^ data.draw(st.integers(1, 255))])
    for damaged in (whole[:at], whole[:at] + other + whole[at + 1 :], whole + b"\n"):
        path.write_bytes(damaged)
        with pytest.raises(RunFileError):
            read_run(path)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is not a run file"),
        (b"emurun", "is not a run file"),
        (b"\x08\x07onnx", "is not a run file"),
        (b"emurun 2 abc 3\n{}", "is not a run file"),
        (text_of(b"{}", version=1), "of version 1, this emu reads version 2"),
        (text_of(b"{}")[:-1], "cut short: 1 of 2 bytes"),
        (text_of(b"{}") + b" ", "damaged: its digest"),
        (text_of(b"{]"), "damaged: Expecting"),
        (text_of(b"\xff"), "damaged: 'utf-8'"),
        (text_of(b"[" * 200_000), "damaged: maximum recursion"),
        (text_of(b"[NaN]"), "damaged: NaN is not a number"),
        (text_of(b"{}"), "damaged: run.model is missing"),
        (text_of(b"7" * 5_000), "damaged: Exceeds the limit"),
    ],
)
def test_what_is_not_a_whole_run_is_refused_with_the_reason(
    contents: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.emurun").write_bytes(contents)
    with pytest.raises(RunFileError, match=message):
        read_run(tmp_path / "a.emurun")


def to_unknown_cause(run: Any) -> None:
    run["groups"][0]["charges"]["relu"] = {"luck": 200_000}


def to_negative(run: Any) -> None:
    run["groups"][0]["charges"]["relu"] = {"launch": 200_001, "wait": -1}


def to_other_latency(run: Any) -> None:
    run["latency_ps"] += 1


def to_group_of_nothing(run: Any) -> None:
    run["groups"][0]["sources"] = []


def to_deep_nesting(run: Any) -> None:
    nested: list[Any] = []
    for _ in range(50):
        nested = [nested]
    run["groups"][1]["nodes"] = nested


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (to_unknown_cause, "there is no cause 'luck'"),
        (to_negative, "do not sum"),
        (to_other_latency, "do not sum to its latency"),
        (to_group_of_nothing, "group without nodes"),
        (to_deep_nesting, r"run.groups\[1\].nodes\[0\] is not of type str"),
    ],
)
def test_a_file_with_a_right_digest_is_still_not_believed(
    change: Callable[[Any], None], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RunFileError, match=message):
        read_run(changed(tmp_path / "a.emurun", change))


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_file, "LARGEST_BYTES", 10)
    write_run(tmp_path / "a.emurun", by_hand_run())
    with pytest.raises(RunFileError, match="at most 10 bytes"):
        read_run(tmp_path / "a.emurun")


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="there is no such file"):
        read_run(tmp_path / "a.emurun")
    with pytest.raises(RunFileError, match="is not a file"):
        read_run(tmp_path)


def test_what_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.emurun"
    path.write_text("before")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(BadOption, match="No space left"):
        write_run(path, by_hand_run())
    assert (path.read_text(), [f.name for f in tmp_path.iterdir()]) == ("before", ["a.emurun"])


def test_run_keeps_what_it_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.emurun"
    words = ["mlp", "--set", "batch=3", "-d", "npu", "--no-values", "--json", "-o", str(path)]
    assert main(["run", *words]) == 0
    found, kept = json.loads(capsys.readouterr().out), read_run(path)

    assert kept.latency_ps == found["latency_ps"]
    assert kept.ledger == found["ledger"]
    assert kept.model == KeptModel("mlp", "mlp", {"batch": 3}, {})
    assert kept.values_ok is None
    assert kept.container


def test_run_says_whether_the_values_that_it_kept_were_right(tmp_path: Path) -> None:
    assert main(["run", "mlp", "-o", str(tmp_path / "a.emurun")]) == 0
    assert read_run(tmp_path / "a.emurun").values_ok is True


def test_an_output_that_cannot_appear_is_refused_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "mlp", "-o", str(tmp_path)]) == 2
    assert main(["run", "mlp", "-o", str(tmp_path / "no" / "a.emurun")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.rpartition(": ")[2] for line in said.err.splitlines()] == [
        "is a folder",
        "its folder does not exist",
    ]
