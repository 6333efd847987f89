"""What Perfetto is given of a run."""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from emu.ir.errors import BadOption
from emu.pipeline import compile
from emu.run import Compiled
from emu.trace_events import trace_json, write_trace


def made(device: str = "gpu") -> Compiled:
    return compile("mlp", device=device).compiled


def events(compiled: Compiled, kind: str) -> list[dict[str, Any]]:
    return [event for event in trace_json(compiled)["traceEvents"] if event["ph"] == kind]


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_every_launch_is_a_slice_with_its_time_cause_and_sources(device: str) -> None:
    compiled = made(device)
    slices = events(compiled, "X")
    for found, launched in zip(slices, compiled.trace.launches, strict=True):
        assert found["ts"] == launched.start_ps / 1e6
        assert sum(found["args"]["charges_ps"].values()) == sum(launched.charges.values())
        assert found["args"]["sources"]
        assert found["args"]["cause"] == found["cat"]


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_the_slices_of_a_row_never_cross(device: str) -> None:
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for found in events(made(device), "X"):
        rows[found["tid"]].append(found)
    for row in rows.values():
        for first, second in pairwise(row):
            assert first["ts"] + first["dur"] <= second["ts"] + 1e-6


def test_an_arrow_goes_from_the_maker_of_a_value_to_its_reader() -> None:
    compiled = made()
    starts, ends = events(compiled, "s"), events(compiled, "f")
    assert len(starts) == len(ends) == len(compiled.trace.launches) - 1  # an mlp is a chain
    assert all(a["id"] == b["id"] and a["ts"] <= b["ts"] for a, b in zip(starts, ends, strict=True))


def test_counters_go_up_and_come_back_to_zero() -> None:
    counters = events(made(), "C")
    for name, unit in (("on-chip memory", "bytes"), ("device memory", "GB/s")):
        figures = [found["args"][unit] for found in counters if found["name"] == name]
        assert max(figures) > 0
        assert figures[-1] == 0


def test_a_trace_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"--trace .*folder does not exist"):
        write_trace(tmp_path / "none" / "f.json", made())
