"""What Perfetto is given of a run."""

import json
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from emu.cli import main
from emu.ir.errors import BadOption
from emu.pipeline import compile
from emu.run import Compiled
from emu.trace_events import GROUPS, RESOURCES, trace_json, write_trace

DEVICES = ["gpu", "systolic", "npu"]
# What the trace event format asks of each kind of event, by type; "M" names rows.
EVERY = {"ph": str, "name": str, "pid": int}
NEEDED: dict[str, dict[str, type]] = {
    "M": {"tid": int, "args": dict},
    "X": {"tid": int, "ts": float, "dur": float, "cat": str, "args": dict},
    "s": {"tid": int, "ts": float, "cat": str, "id": int},
    "f": {"tid": int, "ts": float, "cat": str, "id": int, "bp": str},
    "C": {"ts": float, "args": dict},
}
Event = dict[str, Any]


@cache
def made(device: str = "gpu", model: str = "mlp", fallback: str = "generated") -> Compiled:
    return compile(model, device=device, fallback=fallback).compiled


def events(compiled: Compiled, kind: str, process: int | None = None) -> list[Event]:
    found = trace_json(compiled)["traceEvents"]
    return [e for e in found if e["ph"] == kind and process in (None, e["pid"])]


@pytest.mark.parametrize("device", DEVICES)
def test_every_event_is_as_the_format_asks(device: str) -> None:
    found = trace_json(made(device, "bert_layer"))["traceEvents"]
    for event in found:
        needed = EVERY | NEEDED[event["ph"]]
        assert set(event) == set(needed)
        assert all(isinstance(event[key], kind) for key, kind in needed.items()), event
        assert event.get("ts", 0.0) >= 0
        assert event.get("dur", 0.0) >= 0
    named = {(e["pid"], e["tid"]) for e in found if e["name"] == "thread_name"}
    assert named == {(e["pid"], e["tid"]) for e in found if e["ph"] == "X"}
    assert {e["pid"] for e in found if e["name"] == "process_name"} == {GROUPS, RESOURCES}


@pytest.mark.parametrize("device", DEVICES)
def test_every_launch_is_a_slice_with_its_time_cause_and_sources(device: str) -> None:
    compiled = made(device)
    slices, ledger = events(compiled, "X", GROUPS), Counter[str]()
    for found, launched in zip(slices, compiled.trace.launches, strict=True):
        args = found["args"]
        assert (args["start_ps"], args["end_ps"]) == (launched.start_ps, launched.end_ps)
        assert sum(args["charges_ps"].values()) == sum(launched.charges.values())
        assert args["sources"]
        assert args["cause"] == found["cat"]
        ledger.update(args["charges_ps"])
    assert ledger == {cause: ps for cause, ps in compiled.trace.ledger.items() if ps}
    assert sum(ledger.values()) == compiled.trace.total_ps


@pytest.mark.parametrize("device", DEVICES)
def test_resources_have_rows_whose_slices_say_what_they_are_busy_with(device: str) -> None:
    compiled = made(device, "bert_layer", "host")
    groups = {e["name"]: e["args"] for e in events(compiled, "X", GROUPS)}
    named = [e for e in events(compiled, "M", RESOURCES) if e["name"] == "thread_name"]
    rows = {e["args"]["name"] for e in named}
    expected = {"host", "vector unit"} | (
        {"device memory", "shared cache", "core ports"} if device == "gpu" else {"load", "store"}
    )
    assert expected <= rows
    for found in events(compiled, "X", RESOURCES):
        args = found["args"]
        assert set(args["sources"]) <= set(groups[args["group"]]["sources"])
        assert args["sources"]
        assert args["cause"] == max(args["busy_ps"], key=args["busy_ps"].get)
        assert sum(args["busy_ps"].values()) <= args["end_ps"] - args["start_ps"] + 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fallback", ["generated", "host"])
def test_the_slices_of_a_row_never_cross(device: str, fallback: str) -> None:
    rows: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for found in events(made(device, "bert_layer", fallback), "X"):
        rows[found["pid"], found["tid"]].append(found)
    assert len(rows) > 4
    for row in rows.values():
        for first, second in pairwise(row):
            # In whole nanoseconds, which is how a viewer reads them.
            assert round((first["ts"] + first["dur"]) * 1000) <= round(second["ts"] * 1000)


def test_an_arrow_goes_from_the_maker_of_a_value_to_its_reader() -> None:
    compiled = made()
    starts, ends = events(compiled, "s"), events(compiled, "f")
    assert len(starts) == len(ends) == len(compiled.trace.launches) - 1  # an mlp is a chain
    assert all(a["id"] == b["id"] and a["ts"] <= b["ts"] for a, b in zip(starts, ends, strict=True))


@pytest.mark.parametrize("device", DEVICES)
def test_both_ends_of_an_arrow_lie_in_a_slice(device: str) -> None:
    compiled = made(device, "bert_layer")
    slices = events(compiled, "X", GROUPS)
    for end in (*events(compiled, "s"), *events(compiled, "f")):
        assert any(
            end["tid"] == s["tid"] and s["ts"] <= end["ts"] < s["ts"] + s["dur"] for s in slices
        )


def test_counters_go_up_and_come_back_to_zero() -> None:
    counters = events(made("npu", "bert_layer", "host"), "C")
    for name, unit in (("on-chip memory", "bytes"), ("device memory", "GB/s"), ("link", "GB/s")):
        figures = [found["args"][unit] for found in counters if found["name"] == name]
        assert min(figures) >= 0 < max(figures)
        assert figures[-1] == 0
        moments = [found["ts"] for found in counters if found["name"] == name]
        assert moments == sorted(moments)


def test_a_trace_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"--trace .*folder does not exist"):
        write_trace(tmp_path / "none" / "f.json", made())


def test_show_writes_a_trace_beside_the_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mlp.json"
    assert main(["show", "mlp", "--level", "device", "--trace", str(path)]) == 0
    assert "func" in capsys.readouterr().out
    assert json.loads(path.read_text()) == json.loads(json.dumps(trace_json(made())))
    assert main(["show", "mlp", "--trace", str(tmp_path)]) == 2
    assert "--trace" in capsys.readouterr().err
