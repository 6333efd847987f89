"""Datasheets: the three generic sheets, and what a wrong file is told."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import cast

import pytest

from emu.devices.datasheet import (
    FOLDER,
    Compute,
    Datasheet,
    device_names,
    generic_names,
    load_datasheet,
)
from emu.devices.fields import At, read
from emu.devices.rates import Rates
from emu.ir.errors import DatasheetError, UnknownName

NAMES = ("gpu", "npu", "systolic")


def peak_tflops(sheet: Datasheet, name: str, dtype: str = "f32") -> float:
    unit = sheet.unit(name)
    assert unit is not None
    rate = unit.flops_per_cycle_per_core[dtype]
    return rate * sheet.compute.cores * sheet.compute.clock_mhz * 1e6 / 1e12


def changed(tmp_path: Path, sheet: str, old: str, new: str) -> Path:
    """A copy of a sheet in which the first match of the pattern ``old`` reads ``new``."""
    text, count = re.subn(old, new, (FOLDER / f"{sheet}.toml").read_text(), count=1, flags=re.M)
    assert count == 1
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def blocks(value: object) -> list[object]:
    """All dataclasses inside of a value."""
    if isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        return [block for item in items for block in blocks(item)]
    if not is_dataclass(value):
        return []
    return [value, *(b for f in fields(value) for b in blocks(getattr(value, f.name)))]


def test_the_generic_devices_are_three() -> None:
    assert generic_names() == NAMES
    assert device_names()[: len(NAMES)] == NAMES
    assert [load_datasheet(name).kind for name in NAMES] == list(NAMES)


def test_peak_rates_are_those_of_the_parts_they_follow() -> None:
    gpu, systolic, npu = (load_datasheet(name) for name in ("gpu", "systolic", "npu"))
    assert Rates(gpu).matrix("f32") is None
    assert [round(peak_tflops(gpu, "matrix", d)) for d in ("f16", "bf16", "i8")] == [312, 312, 624]
    assert [round(peak_tflops(gpu, "vector", d)) for d in ("f16", "bf16")] == [78, 39]
    assert round(peak_tflops(gpu, "vector"), 1) == 19.5
    assert round(peak_tflops(systolic, "matrix"), 1) == 32.8
    assert round(peak_tflops(systolic, "vector"), 2) == 2.05
    assert round(peak_tflops(npu, "matrix"), 1) == 32.8


@pytest.mark.parametrize("name", NAMES)
def test_every_block_of_numbers_says_where_they_come_from(name: str) -> None:
    sheet = load_datasheet(name)
    silent = {"Datasheet", "Memory", "Refusal", "Limit"}
    numbered = [b for b in blocks(sheet) if type(b).__name__ not in silent]
    assert len(numbered) >= 9
    assert all(len(getattr(block, "source", "")) > 15 for block in numbered)


@pytest.mark.parametrize("name", NAMES)
def test_energies_of_operations_follow_from_one_process(name: str) -> None:
    sheet = load_datasheet(name)
    vector = sheet.unit("vector")
    assert vector is not None
    assert vector.transcendental_cycles is not None
    assert sheet.energy.process_nm == 45
    assert sheet.energy.pj_per_flop_f32 == 2.3  # (0.9 + 3.7) / 2
    each = vector.transcendental_cycles * sheet.energy.pj_per_flop_f32
    assert sheet.energy.pj_per_transcendental == round(each, 6)


def test_only_the_npu_refuses_ops_and_says_why() -> None:
    npu, gpu = load_datasheet("npu").ops, load_datasheet("gpu").ops
    assert "depend on data" in (npu.refusal("Gather", {}) or "")
    assert gpu.refusal("Gather", {}) is None
    assert npu.refusal("Relu", {}) is None


def test_a_limit_refuses_larger_attributes_only() -> None:
    ops = load_datasheet("npu").ops
    assert ops.refusal("Conv", {"group": 128, "dilations": (12, 1), "auto_pad": "VALID"}) is None
    assert ops.refusal("Conv", {}) is None
    assert (ops.refusal("Conv", {"group": 129}) or "").startswith("group = 129 is over 128: ")
    assert (ops.refusal("Conv", {"dilations": (1, 13)}) or "").startswith("dilations = (1, 13) is")


def test_a_sheet_is_read_once_and_can_be_a_key() -> None:
    assert load_datasheet("gpu") is load_datasheet("gpu")
    assert len({load_datasheet(name) for name in NAMES}) == 3


def test_a_path_names_the_device_after_its_file(tmp_path: Path) -> None:
    path = changed(tmp_path, "gpu", r"^cores .*$", "cores = 80")
    assert (load_datasheet(path).name, load_datasheet(str(path)).compute.cores) == ("mine", 80)


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    first = load_datasheet(changed(tmp_path, "gpu", r"^cores .*$", "cores = 80"))
    second = load_datasheet(changed(tmp_path, "gpu", r"^cores .*$", "cores = 90"))
    assert (first.compute.cores, second.compute.cores) == (80, 90)


def test_an_unknown_device_gets_a_suggestion() -> None:
    with pytest.raises(UnknownName, match=r"unknown device 'systolik'; did you mean 'systolic'\?"):
        load_datasheet("systolik")


WRONG = [
    ("gpu", r"^cores .*$", "corse = 1", r"compute\.corse: unknown key; did you mean 'cores'\?"),
    ("gpu", r"^cores .*$", "", r"compute\.cores: is missing"),
    ("gpu", r"^cores .*$", "cores = 0", r"compute\.cores: must be over 0, not 0"),
    ("gpu", r"^cores .*$", "cores = 1.5", r"compute\.cores: must be a whole number, not 1\.5"),
    ("gpu", r"^cores .*$", "cores = true", r"compute\.cores: must be a whole number, not True"),
    ("gpu", r"^clock_mhz .*$", "clock_mhz = -1", r"clock_mhz: must be a number over 0, not -1"),
    ("gpu", r"^clock_mhz .*$", "clock_mhz = nan", r"clock_mhz: must be a number over 0, not nan"),
    ("gpu", r"^clock_mhz .*$", "clock_mhz = '1'", r"clock_mhz: must be a number, not '1'"),
    ("gpu", r"^source .*$", "source = ' '", r"compute\.source: must be a text"),
    ("gpu", r"^kind .*$", "kind = 'cpu'", r"kind: 'cpu' is none of gpu, systolic, npu"),
    ("gpu", r"^kind .*$", "kind = 'npu'", r"memory\.l2: a gpu needs it and no other kind has it"),
    ("gpu", r"^kind .*$", "kind = 'gpu'\nname = 'x'", r"name: the file's own name is the name"),
    ("gpu", r"^f32 .*$", "f23 = 1", r"f23: unknown dtype; did you mean 'f32'\?"),
    ("gpu", r"^name .*$", "name = 'tensor'", r"compute\.units: names are matrix and vector"),
    (
        "gpu",
        r"^transcendental_cycles .*$",
        "",
        r"vector unit with transcendental_cycles is missing",
    ),
    ("systolic", r"^rows .*$", "", r"units\.matrix: rows and columns are needed, both"),
    ("systolic", r"^f32 .*$", "f32 = 32769", r"32769 is over the 32768 of 128 x 128"),
    ("gpu", r"^image_layouts .*$", "image_layouts = ['nhcw']", r"image_layouts: 'nhcw' is none of"),
    ("npu", r'^name .*"matrix"$', "name = 'vector'", r"each once at most"),
    ("npu", r"^at_most .*$", "at_most = 'x'", r"ops\.limits\.\[0\]\.at_most: must be a whole"),
    ("npu", r"^\[launch\]$", "[lunch]", r"lunch: unknown key; did you mean 'launch'\?"),
    ("npu", r"^kind .*$", "kind = ", r"is not TOML"),
]


@pytest.mark.parametrize(("sheet", "old", "new", "message"), WRONG)
def test_a_wrong_entry_is_refused_with_file_and_key(
    tmp_path: Path, sheet: str, old: str, new: str, message: str
) -> None:
    path = changed(tmp_path, sheet, old, new)
    with pytest.raises(DatasheetError, match=message) as caught:
        load_datasheet(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


UNIT = {"name": "vector", "source": "x"}
SHAPES: list[tuple[object, str]] = [
    (1, "f.toml: file: must be a table"),
    ({"units": 1}, "f.toml: units: must be a list"),
    ({"units": [1]}, "f.toml: units.[0]: must be a table"),
    ({"units": [{**UNIT, "flops_per_cycle_per_core": {}}]}, "must give a rate for one dtype"),
    ({"units": [{**UNIT, "flops_per_cycle_per_core": 2}]}, "per_core: must be a table"),
]


@pytest.mark.parametrize(("table", "message"), SHAPES)
def test_a_block_of_the_wrong_shape_is_refused(table: object, message: str) -> None:
    rest = {"cores": 1, "clock_mhz": 1, "source": "x"}
    given = {**cast("dict[str, object]", table), **rest} if isinstance(table, dict) else table
    with pytest.raises(DatasheetError, match=re.escape(message)):
        read(Compute, given, At("f.toml"))


def test_a_gpu_needs_limits_of_threads(tmp_path: Path) -> None:
    path = changed(tmp_path, "gpu", r"\[limits\](?s:.*?)\n\n", "")
    with pytest.raises(DatasheetError, match="limits: a gpu needs it"):
        load_datasheet(path)


def test_an_array_device_needs_a_matrix_unit(tmp_path: Path) -> None:
    path = changed(tmp_path, "gpu", r"\[limits\](?s:.*?)\n\n", "")
    text = path.read_text().replace('"gpu"', '"npu"', 1)
    engines = re.search(r"\[dma\](?s:.*?)\n\n", (FOLDER / "npu.toml").read_text())
    assert engines is not None
    text = text.replace("[link]", engines[0] + "[link]")
    text = re.sub(r"\[memory\.l2\](?s:.*?)\n\n", "", text)
    unit = r"\[\[compute.units\]\]\nname +=.\"matrix\"(?s:.*?)\n\n(?s:.*?)\n\n"
    path.write_text(re.sub(unit, "", text))
    with pytest.raises(DatasheetError, match="a npu needs a matrix unit"):
        load_datasheet(path)


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"about = '\xe9'")
    for name in ("absent.toml", "latin.toml"):
        with pytest.raises(DatasheetError, match="cannot be read as text"):
            load_datasheet(tmp_path / name)
