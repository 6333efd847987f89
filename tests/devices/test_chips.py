"""The datasheets of real chips: every one loads, says what is assumed, and meets its peaks."""

import re
from pathlib import Path

import pytest

from emu.devices.datasheet import (
    CHIPS,
    datasheet_figures,
    device_names,
    generic_names,
    load_datasheet,
)
from emu.devices.rates import Rates
from emu.ir.errors import DatasheetError

NAMES = tuple(name for name in device_names() if name not in generic_names())
# Facts that follow by a rule of the kind from others of the chip: a ratio is assumed, no figure.
BY_RULE = (
    "link.bandwidth_gb_s",
    "memory.l2.bandwidth_gb_s",
    "energy.",
    "energy_pj_byte",
    "memory.onchip.bytes_per_cycle_per_core",
    "compute.units.vector.flops_per_cycle_per_core.f32",
)


def changed(tmp_path: Path, chip: str, old: str, new: str) -> Path:
    text, count = re.subn(old, new, (CHIPS / f"{chip}.toml").read_text(), count=1, flags=re.M)
    assert count == 1
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_there_are_40_chips_of_three_kinds() -> None:
    kinds = [load_datasheet(name).kind for name in NAMES]
    assert len(NAMES) == 40
    assert {kind: kinds.count(kind) for kind in kinds} == {"gpu": 13, "npu": 19, "systolic": 8}


@pytest.mark.parametrize("name", NAMES)
def test_every_chip_says_what_is_published_and_what_is_assumed(name: str) -> None:
    sheet = load_datasheet(name)
    assert sheet.board is not None
    assert len(sheet.board.source) > 10
    assert {"link.energy_pj_byte", "energy.static_w"} <= set(sheet.assumed)
    matrix = sheet.unit("matrix")
    assert matrix is not None
    assert matrix.peak_tflops


def test_an_assumed_figure_is_one_for_all_chips_of_a_kind() -> None:
    found: dict[tuple[str, str], set[object]] = {}
    for name in NAMES:
        sheet, figures = load_datasheet(name), datasheet_figures(name)
        for key in sheet.assumed:
            if not any(rule in key for rule in BY_RULE):
                found.setdefault((sheet.kind, key), set()).add(figures[key])
    assert {key: values for key, values in found.items() if len(values) > 1} == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("^cores .*$", "cores = 90", "compute.units.vector.peak_tflops.f32: 19.5 is not the 16.24"),
        ("^power_w .*$", "power_w = 50", "board.power_w: 50 is not over energy.static_w, 70.4"),
        ('^"launch.start_us"', '"launch.strt_us"', "did you mean 'launch.start_us'?"),
        ("^bandwidth_gb_s .*$", "bandwidth_tb_s = 2", "bandwidth_tb_s: unknown key"),
        ("^latency_ns .*$", "latency_ns = 0", "memory.dram.latency_ns: must be a number over 0"),
    ],
)
def test_figures_that_contradict_each_other_are_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(DatasheetError) as refused:
        load_datasheet(changed(tmp_path, "a100_sxm80", old, new))
    assert said in str(refused.value)
    assert "mine.toml" in str(refused.value)


def test_a_stated_conflict_of_sources_may_miss_the_peak(tmp_path: Path) -> None:
    path = changed(tmp_path, "a100_sxm80", "^cores .*$", "cores = 90")
    keys = [f"{u}.peak_tflops.{d}" for u, d in (("vector", "f32"), ("matrix", "f16"))]
    keys += [f"matrix.peak_tflops.{d}" for d in ("bf16", "i8")]
    notes = "".join(f'"compute.units.{key}" = "said otherwise"\n' for key in keys)
    path.write_text(path.read_text() + "\n[conflict]\n" + notes)
    assert load_datasheet(path).compute.cores == 90


def test_refresh_takes_its_share_of_the_bandwidth() -> None:
    sheet = load_datasheet("a100_sxm80")
    assert float(Rates(sheet).dram) == pytest.approx(2.0 * (1 - 350 / 3900))
    assert float(Rates(load_datasheet("gpu")).dram) == 1.555
