"""Sweeps: every point once, whatever kills them, and the same bytes in the end."""

import gc
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emu.devices.datasheet import Datasheet, datasheet_path, load_datasheet
from emu.ir.errors import BadOption, DatasheetError, UnknownName
from emu.pipeline import compile
from emu.sweeps import command as sweeping
from emu.sweeps import point as pricing
from emu.sweeps.journal import LINES, journal
from emu.sweeps.pareto import front, must_be_figures
from emu.sweeps.parquet import FILE
from emu.sweeps.plan import Plan, key_of, parse_axes, plan, read_plan
from emu.sweeps.point import must_be_possible, price
from emu.sweeps.pool import dask, local

AXES = ("fusion=none,vertical", "set.batch=1,2")


def grid(texts: Iterable[str] = AXES, sample: int | None = None) -> Plan:
    return plan("mlp", parse_axes(texts), (), sample, 0, False)


def test_a_grid_has_every_point_once_and_in_order() -> None:
    keys = [key_of(point) for point in grid().points]
    assert len(keys) == 4
    assert keys == sorted(set(keys))


def test_a_random_sample_is_of_the_grid_and_the_same_for_a_seed() -> None:
    assert grid(sample=2) == grid(sample=2)
    assert set(map(key_of, grid(sample=2).points)) < set(map(key_of, grid().points))
    with pytest.raises(BadOption, match="--random 5: the grid has 4"):
        grid(sample=5)


@pytest.mark.parametrize("text", ["fusion", "fusion=", "fusion=,"])
def test_an_axis_without_values_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match="write KEY=A,B,C"):
        parse_axes([text])


def test_an_axis_is_known_and_given_once() -> None:
    with pytest.raises(UnknownName, match="did you mean 'fusion'"):
        parse_axes(["fusoin=none"])
    with pytest.raises(BadOption, match="given twice"):
        parse_axes(["fusion=none", "fusion=vertical"])
    with pytest.raises(BadOption, match="nothing to price"):
        grid(())


def test_a_file_has_axes_and_a_list_of_points(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[axes]\n"set.batch" = [1, 2]\n[[points]]\ndevice = "npu"\n')
    assert read_plan(path) == ({"set.batch": ("1", "2")}, ({"device": "npu"},))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[axis]\n", "'axis' is not"),
        ("axes", "cannot be read"),
        ("[axes]\nfusion = 1\n", "a list of values"),
        ("[axes]\nfusion = [[1]]\n", "a name or a number"),
        ("[axes]\nfussion = [1]\n", "did you mean 'fusion'"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(BadOption, match=f"s.toml: .*{why}"):
        read_plan(path)


def test_a_point_is_what_a_run_is() -> None:
    fact = "memory.dram.bandwidth_gb_s=500"
    run = compile("mlp", device="npu", facts=(fact,), settings={"batch": 2}).compiled.trace
    point = {"device": "npu", "set.batch": "2", "device.memory.dram.bandwidth_gb_s": "500"}
    assert price("mlp", point, False)["latency_ps"] == run.total_ps
    assert price("mlp", {"device": "npu", "set.batch": "2"}, True) == price(
        "mlp", {"device": "npu", "set.batch": "2"}, False
    )


def test_a_program_that_does_not_fit_a_changed_chip_is_refused() -> None:
    small = {"device": "npu", "device.memory.dram.capacity_gib": "0.0000001"}
    assert "does not fit the memory" in str(price("mlp", small, True)["refused"])
    tiny = {"device": "npu", "device.memory.onchip.capacity_kib": "1"}
    assert "does not fit the chip" in str(price("mlp", tiny, True)["refused"])


def test_a_wrong_value_is_told_before_anything_is_priced() -> None:
    with pytest.raises(UnknownName, match="unknown device 'gpo'"):
        must_be_possible("mlp", {"device": "gpo"})
    with pytest.raises(DatasheetError):
        must_be_possible("mlp", {"device.memory.dram.bandwith_gb_s": "1"})


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    asked = grid()
    with journal(tmp_path / "s", asked) as kept:
        kept.add(asked.points[0], {"refused": "a"})
    with (tmp_path / "s" / LINES).open("ab") as file:
        file.write(b'["torn')
    with journal(tmp_path / "s", asked) as kept:
        assert dict(kept.done) == {key_of(asked.points[0]): {"refused": "a"}}
        kept.add(asked.points[1], {"refused": "b"})
    lines = (tmp_path / "s" / LINES).read_text().splitlines()
    assert [json.loads(line)[1]["refused"] for line in lines] == ["a", "b"]


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    with journal(tmp_path / "s", grid()), pytest.raises(BadOption, match="another process"):
        with journal(tmp_path / "s", grid()):
            pass
    with pytest.raises(BadOption, match="another sweep"), journal(tmp_path / "s", grid(AXES[:1])):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(BadOption, match=r"letter\.txt"), journal(tmp_path / "mine", grid()):
        pass
    with pytest.raises(BadOption, match="cannot be written"):
        with journal(tmp_path / "mine" / "letter.txt", grid()):
            pass


def test_a_sweep_on_a_chip_with_other_facts_is_another_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = grid()
    assert asked.digest == grid().digest
    with journal(tmp_path / "s", asked):
        pass
    sheet = load_datasheet("gpu")
    other = replace(sheet, launch=replace(sheet.launch, start_us=sheet.launch.start_us + 1))

    def changed(device: str) -> Datasheet:
        assert device == "gpu"
        return other

    monkeypatch.setattr("emu.sweeps.plan.load_datasheet", changed)
    with pytest.raises(BadOption, match="another sweep"), journal(tmp_path / "s", grid()):
        pass


def test_a_sweep_of_a_datasheet_file_that_was_changed_is_another_sweep(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = datasheet_path("npu").read_text("utf-8")
    path.write_text(text)
    asked = plan("mlp", {"device": (str(path),)}, (), None, 0, False)
    before = asked.digest
    path.write_text(text + "# a remark\n")
    assert asked.digest == before
    path.write_text(re.sub(r"issue_us = \S+", "issue_us = 77.0", text))
    assert asked.digest != before


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    with journal(tmp_path / "s", grid()):
        pass
    (tmp_path / "s" / LINES).write_text("no json\n")
    with pytest.raises(BadOption, match="is damaged"), journal(tmp_path / "s", grid()):
        pass


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full")
    asked = grid()
    with journal(tmp_path / "s", asked) as kept:
        os.dup2(os.open(full, os.O_WRONLY), kept.descriptor)
        with pytest.raises(BadOption, match="No space left"):
            kept.add(asked.points[0], {"refused": ""})


def test_the_front_has_what_no_point_beats() -> None:
    def point(latency: int, energy: int, refused: str = "") -> dict[str, int | str]:
        return {"latency_ps": latency, "energy_pj": energy, "refused": refused}

    done = {"a": point(1, 9), "b": point(2, 5), "c": point(3, 5), "d": point(4, 1)}
    done |= {"e": point(0, 0, "too large"), "f": point(2, 5)}
    assert front(done, must_be_figures("latency_ps,energy_pj")) == ["a", "b", "f", "d"]
    with pytest.raises(UnknownName, match="did you mean 'latency_ps'"):
        must_be_figures("latency,energy_pj")
    with pytest.raises(BadOption, match="two or more"):
        must_be_figures("latency_ps")


def test_a_pool_prices_what_one_process_does() -> None:
    points = grid().points[:2]
    alone = {key_of(p): r for p, r in local("mlp", points, False, 1)}
    assert {key_of(p): r for p, r in local("mlp", points, False, 2)} == alone


@pytest.mark.filterwarnings("ignore")  # of the library's own
def test_a_dask_cluster_prices_what_one_process_does() -> None:
    distributed: Any = pytest.importorskip("distributed")
    points = grid().points
    with distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster:
        found = {key_of(p): r for p, r in dask("mlp", points, False, cluster.scheduler_address)}
    assert found == {key_of(p): r for p, r in local("mlp", points, False, 1)}


@pytest.mark.filterwarnings("ignore")  # of the library's own
def test_an_address_without_a_cluster_is_one_clear_line() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(BadOption, match="no cluster answers there"):
        next(dask("mlp", grid().points, False, "tcp://127.0.0.1:1"))


def command(folder: Path, workers: int) -> list[str]:
    sizes = ",".join(str(n) for n in range(1, 13))
    axes = (f"set.batch={sizes}", "fusion=none,vertical")
    return [
        *(sys.executable, "-m", "emu", "sweep", "mlp", *axes),
        *("-o", str(folder), "--workers", str(workers)),
    ]


def test_a_sweep_killed_at_random_continues_to_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole, 1), check=True, capture_output=True)
    for seed in range(2):
        lines = _lines(killed)
        with subprocess.Popen(command(killed, 2), stdout=subprocess.DEVNULL) as process:
            more = random.Random(seed).randint(1, 6)
            while process.poll() is None and _lines(killed) < lines + more:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    assert _lines(killed) > 0
    subprocess.run(command(killed, 2), check=True, capture_output=True)
    assert (killed / FILE).read_bytes() == (whole / FILE).read_bytes()
    keys = [json.loads(line)[0] for line in (killed / LINES).read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 24


def _lines(folder: Path) -> int:
    path = folder / LINES
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_without_pyarrow_or_a_cluster_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadOption, match=r"emu\[sweep\]"):
        sweeping.sweep("mlp", AXES, sweeping.SweepFlags(tmp_path / "s"))
    monkeypatch.setitem(sys.modules, "pyarrow", sys)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadOption, match=r"--dask tcp://x:1: .*emu\[dask\]"):
        sweeping.sweep("mlp", AXES, sweeping.SweepFlags(tmp_path / "s", dask="tcp://x:1"))
    with pytest.raises(BadOption, match="--workers 0"):
        sweeping.sweep("mlp", AXES, sweeping.SweepFlags(tmp_path / "s", workers=0))


@pytest.mark.parametrize("collects", [True, False])
def test_points_leave_no_garbage_in_a_process_that_collects_none(
    collects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More chips than are kept: those that are not hold what is known of them, and each other."""
    monkeypatch.setattr(pricing, "ALL_EVERY", 1)
    asked = [{"device": "npu", "device.memory.dram.latency_ns": str(n)} for n in range(100, 120)]
    gc.collect()
    if not collects:
        gc.disable()
    try:
        assert all(price("mlp", point, False)["latency_ps"] for point in asked)
        assert gc.collect() < 1000
        assert gc.isenabled() == collects
    finally:
        gc.enable()
