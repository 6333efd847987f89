"""Lies in stack files of the user's own fail by running, in every command that runs stacks.

What is claimed is right by every rule of the files; only running shows that it is not so.
"""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emu.cli import main
from emu.lockin.catalogue import FOLDER
from tests.emu.lockin.small import Table, changed, write_file
from tests.emu.lockin.test_own_stacks import KERNELS, SLOTS, lossy, unlinked, written

Capture = pytest.CaptureFixture[str]
Plant = Callable[[Path], Path]


def part(slot: str, name: str) -> Table:
    """A part of the catalogue under another name, as a file says it."""
    table = tomllib.loads((FOLDER / slot / f"{name}.toml").read_text())
    del table["name"]
    return {**table, "rows": []}


def planted(folder: Path, slot: str, *bundle: str, **lies: Any) -> Path:
    """The stack with the first part of a bundle lying about some facts."""
    first, *rest = bundle
    liar = changed({"liar": part(slot, first)}, "liar", **lies)["liar"]
    write_file(folder / slot / "liar.toml", {"name": "liar", **liar})
    return written(folder, {**SLOTS, slot: ["liar", *rest]})


def wrong_dtype(folder: Path) -> Path:
    planted(folder, "device", "mi300x-like", datasheet="v100_sxm")
    kernels = changed({"k": KERNELS}, "k", dtypes=["bf16"])["k"]
    return written(folder, {**SLOTS, "device": ["liar"]}, mine_kernels=kernels)


def newer_formats(folder: Path) -> Path:
    return planted(folder, "driver", "hip-runtime-like", "amdgpu-like", format_min=3, format_max=9)


def forged_firmware(folder: Path) -> Path:
    driver = part("driver", "amdgpu-like")
    liar = changed({"liar": driver}, "liar", firmware_signature="abc")["liar"]
    write_file(folder / "driver" / "liar.toml", {"name": "liar", **liar})
    return written(folder, {**SLOTS, "driver": ["hip-runtime-like", "liar"]})


def other_instructions(folder: Path) -> Path:
    sm = [{"interface": "sm9", "min": 1, "max": 1}]
    return planted(folder, "device", "mi300x-like", exports=sm)


def no_code(folder: Path) -> Path:
    """A compiler that says it generates what is missing, for no instruction set."""
    imports = [{"interface": "aten-fx", "min": 1, "max": 1}]
    return planted(folder, "compiler", "inductor-like", imports=imports, exports=[])


def unknown_dialect(folder: Path) -> Path:
    """A compiler that takes the dialect of the front end by name, and knows none of its ops."""
    empty = {"kind": "dialect", "source": "test", "versions": [{"Nothing": "x.nothing"}]}
    write_file(folder / "interfaces" / "empty.toml", {"name": "empty", **empty})
    emits = [{"interface": "empty", "min": 1, "max": 1}]
    front = changed({"f": part("front_end", "torch-compile-like")}, "f", exports=emits)["f"]
    write_file(folder / "front_end" / "speaker.toml", {"name": "speaker", **front})
    imports = part("compiler", "inductor-like")["imports"]
    reads = {"empty": 1}
    planted(folder, "compiler", "inductor-like", imports=[*imports, *emits], parsers=reads)
    return written(folder, {**SLOTS, "front_end": ["speaker"], "compiler": ["liar"]})


def other_parser(folder: Path) -> Path:
    """A compiler that claims the dialect of the front end and parses another one."""
    return planted(folder, "compiler", "inductor-like", parsers={"stablehlo": 1, "onnx": 20})


def older_parser(folder: Path) -> Path:
    """A compiler that claims a newer version of a dialect than it parses.

    The front end writes what came with that version.
    """
    grown = [{"MatMul": "x.matmul"}, {"Add": "x.add", "Relu": "x.relu"}]
    table = {"name": "grown", "kind": "dialect", "source": "test", "versions": grown}
    write_file(folder / "interfaces" / "grown.toml", table)
    both = [{"interface": "grown", "min": 1, "max": 2}]
    front = changed({"f": part("front_end", "torch-compile-like")}, "f", exports=both)["f"]
    write_file(folder / "front_end" / "speaker.toml", {"name": "speaker", **front})
    imports = [*part("compiler", "inductor-like")["imports"], *both]
    planted(folder, "compiler", "inductor-like", imports=imports, parsers={"grown": 1})
    return written(folder, {**SLOTS, "front_end": ["speaker"], "compiler": ["liar"]})


LIES: dict[str, tuple[Plant, str]] = {
    "kernels that launch nothing": (unlinked, "K5 run AbiMismatch"),
    "a layout that loses elements": (lossy, "K4 lower LayoutUnrepresentable"),
    "an element type of no unit": (wrong_dtype, " run Unsupported"),
    "a window of formats": (newer_formats, "K6 load VersionSkew"),
    "firmware that nobody signed": (forged_firmware, "K7 bind FirmwareAuth"),
    "instructions of another chip": (other_instructions, "K6 load NoBinaryForDevice"),
    "code for no instruction set": (no_code, "K3 lower SymbolNotFound"),
    "ops of a dialect": (unknown_dialect, "K2 capture NoCommonIR"),
    "a dialect that is not parsed": (other_parser, "K2 capture NoCommonIR"),
    "a newer version than is parsed": (older_parser, "K2 capture NoCommonIR"),
}
WHERE = "compiler/liar.toml: facts.parsers: the compiler parses the program"
SIDES = {
    "a dialect that is not parsed": "have parsers of stablehlo 1 and onnx 20, need aten.",
    "a newer version than is parsed": "have parsers of grown 1, need x.",
}


def printed(capsys: Capture, *arguments: str) -> str:
    assert main([*arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_fails_by_running_in_every_command(capsys: Capture, tmp_path: Path, lie: str) -> None:
    plant, expected = LIES[lie]
    file = str(plant(tmp_path))
    contract, stage, name = expected.split(" ")

    assert main(["run", "mlp", "--no-values", "--stack", file]) == 4
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert contract in error

    swap = ("swap", file, "--replace", "orchestrator=bare", "-m", "mlp", "--json")
    cell = json.loads(printed(capsys, *swap))
    found = cell["error"]
    assert cell["outcome"] == "native-failure"
    assert (found["contract"], found["stage"], found["name"]) == (contract, stage, name)

    cells = json.loads(printed(capsys, "lockin", file, "-m", "mlp", "--json"))["cells"]
    assert {cell["outcome"] for cell in cells} == {"native-failure"}
    assert {cell["error"]["name"] for cell in cells} == {name}


@pytest.mark.parametrize("lie", SIDES)
def test_a_dialect_that_is_claimed_and_not_parsed_says_what_is_read_and_what_is_written(
    capsys: Capture, tmp_path: Path, lie: str
) -> None:
    file = str(LIES[lie][0](tmp_path))
    assert main(["run", "mlp", "--no-values", "--stack", file]) == 4
    assert f"{WHERE}: {SIDES[lie]}" in capsys.readouterr().err
    swap = ("swap", file, "--replace", "orchestrator=bare", "-m", "mlp", "--json")
    error = json.loads(printed(capsys, *swap))["error"]
    assert SIDES[lie].startswith(f"have {error['have']}, need ")
    assert error["need"].startswith(SIDES[lie].rpartition(" ")[2])


TWO = ["a layout that loses elements", "firmware that nobody signed"]


@pytest.mark.parametrize("lie", [*TWO, "a dialect that is not parsed"])
def test_a_stack_that_lies_is_not_ready(capsys: Capture, tmp_path: Path, lie: str) -> None:
    plant, expected = LIES[lie]
    contract, stage, name = expected.split(" ")
    text = printed(capsys, "readiness", str(plant(tmp_path)), "-m", "mlp")
    assert "framework entry: 0%" in text
    assert "performance: 0%" in text
    assert f"{contract} {name} at {stage}" in " ".join(text.split())
