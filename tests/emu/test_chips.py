"""What emu says about chips: facts side by side, one datasheet, what-ifs on a run."""

import json
import tomllib
from pathlib import Path

import pytest

from emu.cli import main
from emu.devices.datasheet import CHIPS, FOLDER, device_names
from emu.pipeline import compile


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_facts_of_all_devices_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "list", "devices", "--facts")
    assert all(f"| {name} " in text for name in device_names())
    found = json.loads(said(capsys, "list", "devices", "--facts", "--json"))
    h100 = next(item for item in found["items"] if item["name"] == "h100_sxm")
    assert h100["peak_tflops"]["f16"] == pytest.approx(989, rel=0.03)
    assert "compute.clock_mhz" in h100["conflict"]


def test_facts_go_with_devices_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models", "--facts"]) == 2
    assert "--facts: goes with devices, not with models" in capsys.readouterr().err


def test_a_datasheet_is_shown_with_what_is_assumed_and_where_sources_disagree(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, "show-device", "h100_sxm")
    assert "| launch.start_us " in text
    assert "| sources disagree |" in text
    assert "Assumed:" in text
    by_file = said(capsys, "show-device", str(CHIPS / "h100_sxm.toml"))
    assert by_file == text
    found = json.loads(said(capsys, "show-device", "gpu", "--json"))
    assert found["schema"] == "emu.device/1"
    assert found["figures"]["compute.cores"] == 108


@pytest.mark.parametrize("name", ["npu", "tpu_v1", "a100_sxm80"])
def test_the_source_of_every_block_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "show-device", name)
    folder = FOLDER if name == "npu" else CHIPS
    blocks = tomllib.loads((folder / f"{name}.toml").read_text())
    named = {key for key, block in blocks.items() if "source" in block and isinstance(block, dict)}
    assert {"compute", "link", "energy"} < named
    assert {key for key in named if f"\n{key}: " not in text} == set()


def test_a_run_can_ask_what_if_a_fact_was_another(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("run", "mlp", "--no-values", "-d", "a100_sxm80", "--dtype", "fp16")
    text = said(capsys, *flags, "--set-device", "compute.clock_mhz=100,memory.dram.latency_ns=1")
    assert "what if           compute.clock_mhz=100, memory.dram.latency_ns=1" in text
    found = json.loads(said(capsys, *flags, "--json"))
    assert "launch.start_us" in found["assumed"]
    slow = compile("mlp", device="a100_sxm80", facts=("memory.dram.bandwidth_gb_s=10",))
    fast = compile("mlp", device="a100_sxm80")
    assert slow.compiled.trace.total_ps > fast.compiled.trace.total_ps


def test_a_datasheet_of_ones_own_is_a_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((CHIPS / "t4.toml").read_text())
    flags = ("mlp", "--no-values", "--device-file", str(path))
    assert "mlp on " in said(capsys, "run", *flags)
    ladder = said(capsys, "ladder", *flags, "-k", "deep", "-f", "none")
    assert f"mlpon{path}:best" in "".join(ladder.split())  # a long path is broken
    for command in ("run", "ladder"):
        assert main([command, *flags, "-d", "npu"]) == 2
        error = capsys.readouterr().err
        assert error == f"emu: --device npu: not with --device-file {path}\n"


def test_a_chip_without_the_dtype_names_those_that_it_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "mlp", "--no-values", "-d", "tpu_v4", "--dtype", "fp16"]) == 4
    assert "does not compute in fp16; it has fp32, bf16, int8" in capsys.readouterr().err
