"""Stack files of the user's own, with parts beside them, as the command line takes and refuses."""

import json
import tomllib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from emu.cli import main
from emu.devices.datasheet import CHIPS
from emu.devices.driver.handles import ROLES
from emu.ir.errors import CatalogueError
from emu.lockin.catalogue import FOLDER, load_catalogue, load_with
from emu.lockin.parts import INTERFACES
from emu.lockin.schema import FACTS
from tests.emu.lockin.small import Table, changed, driver, kernels, offer, part, toml, write_file

Capture = pytest.CaptureFixture[str]
SLOTS: dict[str, list[str]] = {
    "front_end": ["torch-compile-like"],
    "compiler": ["inductor-like"],
    "kernels": ["mine-kernels"],
    "driver": ["hip-runtime-like", "amdgpu-like"],
    "device": ["mi300x-like"],
    "orchestrator": ["watch-rocm-like"],
}
KERNELS = kernels(
    [offer("hip-api", 1, 1)],
    [offer("hip-engines"), offer("cdna", 3, 3)],
    dtypes=["fp16"],
    depth="basic",
)
COMMANDS = (
    ("run", "mlp", "--no-values", "--stack", "FILE"),
    ("swap", "FILE", "--replace", "kernels=rocblas-like", "-m", "mlp"),
    ("lockin", "FILE", "-m", "mlp"),
    ("readiness", "FILE", "-m", "mlp"),
    ("show-stack", "FILE"),
)


def written(folder: Path, slots: Any = SLOTS, **parts: Table) -> Path:
    """A stack file with its parts in folders beside it."""
    for name, table in ({"mine_kernels": KERNELS} | parts).items():
        known = name.replace("_", "-")
        write_file(folder / table["slot"] / f"{known}.toml", {"name": known, **table})
    file = folder / "mine.toml"
    write_file(file, {"name": "mine", "about": "my own", "slots": slots})
    return file


def said(capsys: Capture, code: int, file: Path, *arguments: str) -> str:
    assert main([str(file) if word == "FILE" else word for word in arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.count("\n") == (code != 0)
    return captured.err if code else captured.out


def test_a_stack_of_ones_own_runs_is_shown_and_swapped(capsys: Capture, tmp_path: Path) -> None:
    file = written(tmp_path)
    shown = json.loads(said(capsys, 0, file, "show-stack", "FILE", "--json"))
    assert (shown["name"], shown["kernels"]) == ("mine", ["mine-kernels"])
    assert "mlp on mi300x" in said(capsys, 0, file, *COMMANDS[0])
    found = json.loads(said(capsys, 0, file, *COMMANDS[1], "--json"))
    assert (found["stack"], found["outcome"]) == ("mine", "free")


def test_the_incumbent_may_be_a_file_too(capsys: Capture, tmp_path: Path) -> None:
    """Both stacks are read, and so are the parts beside each."""
    file, other = written(tmp_path / "a"), tmp_path / "b" / "theirs.toml"
    kernels = {"slot": "kernels", **KERNELS, "name": "their-kernels"}
    write_file(other.parent / "kernels" / "their-kernels.toml", kernels)
    slots = {**SLOTS, "kernels": ["their-kernels"]}
    write_file(other, {"name": "theirs", "about": "another", "slots": slots})
    out = said(capsys, 0, file, "readiness", "FILE", "--against", str(other), "-m", "mlp")
    assert out.startswith("mine against theirs on mlp")
    assert "1.00 times" in out
    err = said(capsys, 2, file, "readiness", "FILE", "--against", "FILE", "-m", "mlp")
    assert "a stack is not measured against itself" in err
    err = said(capsys, 2, file, "readiness", "FILE", "--against", str(tmp_path / "no.toml"))
    assert "no.toml: file: there is no such file" in err


def test_a_shipped_file_is_the_stack_that_it_is() -> None:
    assert load_with([FOLDER / "stacks" / "rocm-like.toml"]) is load_catalogue(FOLDER)


def chip(folder: Path, name: str = "half") -> Path:
    """A stack whose chip has a datasheet of its own, of half the bandwidth."""
    table = tomllib.loads((FOLDER / "device" / "mi300x-like.toml").read_text())
    fact = {"value": name, "assumed": True}
    own = {**table, "name": "mine-chip", "facts": {**table["facts"], "datasheet": fact}}
    write_file(folder / "device" / "mine-chip.toml", {**own, "rows": []})
    text = (CHIPS / "mi300x.toml").read_text()
    (folder / "datasheets").mkdir()
    halved = text.replace("bandwidth_gb_s  = 5300", "bandwidth_gb_s  = 2650")
    assert halved != text
    (folder / "datasheets" / f"{name}.toml").write_text(halved)
    return written(folder, {**SLOTS, "device": ["mine-chip"]})


def test_a_chip_can_have_a_datasheet_of_ones_own(capsys: Capture, tmp_path: Path) -> None:
    file = chip(tmp_path)
    assert f"mlp on {tmp_path}/datasheets/half.toml" in said(capsys, 0, file, *COMMANDS[0])
    swap = ("swap", "FILE", "--replace", "device=mi300x-like", "-m", "mlp", "--json")
    found = json.loads(said(capsys, 0, file, *swap))
    assert found["outcome"] in ("free", "slower")
    (tmp_path / "datasheets" / "half.toml").write_text("kind = 3")
    assert f"emu: {tmp_path}/datasheets/half.toml: " in said(capsys, 2, file, *COMMANDS[0])


Edit = Callable[[Path], object]


def without(slot: str) -> Edit:
    return lambda folder: written(folder, {**SLOTS, slot: []})


def unsourced(folder: Path) -> Path:
    table = deepcopy(KERNELS)
    del table["facts"]["depth"]["source"]
    return written(folder, mine_kernels=table)


def opening_each_other(folder: Path) -> Path:
    """Two drivers beside the stack, each of which imports what the other exports."""
    for name, own, other in (("one", "calls-one", "calls-two"), ("two", "calls-two", "calls-one")):
        calls = {"kind": "functions", "source": "test", "versions": [{f"{name}_run": "launch"}]}
        write_file(folder / "interfaces" / f"{own}.toml", {"name": own, **calls})
        table = driver([offer(other)], [offer(own)])
        write_file(folder / "driver" / f"{name}.toml", {"name": name, **table})
    return written(folder, {**SLOTS, "driver": ["one", "two"]})


BAD: list[tuple[Edit, str, str]] = [
    (without("driver"), "mine.toml", "slots.driver: must be a list of at least one part"),
    (
        lambda folder: written(folder, {**SLOTS, "drivers": ["amdgpu-like"]}),
        "mine.toml",
        "slots.drivers: is no slot; known: compiler",
    ),
    (
        lambda folder: written(folder, {**SLOTS, "device": ["mi300"]}),
        "mine.toml",
        "slots.device: 'mi300' is not in the catalogue; known: a100-like",
    ),
    (
        lambda folder: written(folder, {**SLOTS, "device": ["mi300x-like", "h100-like"]}),
        "mine.toml",
        "slots.device: holds one part, not 2; several go into kernels and driver only",
    ),
    (
        lambda folder: written(folder, {**SLOTS, "driver": ["amdgpu-like", "amdgpu-like"]}),
        "mine.toml",
        "slots.driver: holds a part twice",
    ),
    (
        lambda folder: chip(folder, name="h100_sxm"),
        "datasheets/h100_sxm.toml",
        "name: 'h100_sxm' is the name of a device of emu too",
    ),
    (
        lambda folder: (chip(folder), (folder / "datasheets" / "half.toml").unlink()),
        "device/mine-chip.toml",
        "facts.datasheet: must be one of gpu",
    ),
    (unsourced, "kernels/mine-kernels.toml", "facts.depth: needs a source, or assumed = true"),
    (opening_each_other, "driver/one.toml", "imports: parts open only each other: "),
    (
        lambda folder: written(folder, rocblas_like=KERNELS),
        "kernels/rocblas-like.toml",
        "name: 'rocblas-like' is the name of",
    ),
    (
        lambda folder: written(folder, bare=part("device", [], [])),
        "device/bare.toml",
        "facts.datasheet: is missing",
    ),
    (lambda folder: (folder / "mine.toml").mkdir(), "mine.toml", "file: there is no such file"),
    (lambda folder: None, "mine.toml", "file: there is no such file"),
    (
        lambda folder: (folder / "mine.toml").write_text("name = "),
        "mine.toml",
        "file: is not TOML",
    ),
    (
        lambda folder: (
            written(folder).rename(folder / "other.toml").rename(folder / "mine.toml")
            and (folder / "mine.toml").write_text('name = "x"')
        ),
        "mine.toml",
        "name: must be the name of the file, 'mine'",
    ),
]


TRIED = [(COMMANDS[0], *bad) for bad in BAD] + [(words, *BAD[0]) for words in COMMANDS[1:]]


@pytest.mark.parametrize(("arguments", "edit", "file", "why"), TRIED)
def test_a_bad_stack_is_one_line_with_file_and_key_in_every_command(
    capsys: Capture, tmp_path: Path, arguments: tuple[str, ...], edit: Edit, file: str, why: str
) -> None:
    edit(tmp_path)
    error = said(capsys, 2, tmp_path / "mine.toml", *arguments)
    assert error.startswith(f"emu: {tmp_path}/{file}: ")
    assert why in error


LOSSY = {"rows": {"data": "..rc", "weight": "..rc"}, "images": {"data": "nhw", "weight": "ohwi"}}


def lossy(folder: Path) -> Path:
    """Kernels that claim a layout whose map loses elements."""
    layout = {"kind": "layout", "source": "test", "versions": [LOSSY]}
    write_file(folder / "interfaces" / "lossy.toml", {"name": "lossy", **layout})
    return written(folder, mine_kernels=changed({"k": KERNELS}, "k", layouts=["lossy"])["k"])


def unlinked(folder: Path) -> Path:
    """Kernels that import nothing by which they could launch."""
    return written(folder, mine_kernels={**KERNELS, "imports": []})


def test_a_claim_that_fails_by_running_is_named_by_file_and_key_and_not_kept(
    capsys: Capture, tmp_path: Path
) -> None:
    file, where = lossy(tmp_path), f"{tmp_path}/interfaces/lossy.toml: versions: a value is packed"
    assert where in said(capsys, 4, file, *COMMANDS[0])
    found = json.loads(said(capsys, 0, file, *COMMANDS[1], "--json"))
    assert (found["outcome"], found["error"]["contract"]) == ("native-failure", "K4")
    written(tmp_path)
    assert "mlp on mi300x" in said(capsys, 0, file, *COMMANDS[0])


def test_kernels_that_cannot_launch_are_named_by_file_and_key(
    capsys: Capture, tmp_path: Path
) -> None:
    where = "mine-kernels.toml: imports: the library submits work"
    text = said(capsys, 0, unlinked(tmp_path), *COMMANDS[1])
    assert "failed        AbiMismatch: " in text
    assert where in " ".join(text.split())
    assert where in said(capsys, 4, tmp_path / "mine.toml", *COMMANDS[0])


def test_what_was_refused_is_read_again_once_it_is_mended(capsys: Capture, tmp_path: Path) -> None:
    file = written(tmp_path, {**SLOTS, "device": ["mi300"]})
    said(capsys, 2, file, *COMMANDS[0])
    written(tmp_path)
    assert "mlp on mi300x" in said(capsys, 0, file, *COMMANDS[0])


def test_a_stack_that_takes_the_name_of_a_shipped_one_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path / "rocm-like.toml", {"name": "rocm-like", "about": "x", "slots": SLOTS})
    with pytest.raises(CatalogueError, match=r"name: 'rocm-like' is the name of .*rocm-like.toml"):
        load_with([tmp_path / "rocm-like.toml"])


def test_what_is_written_is_toml() -> None:
    assert toml({"a": [1, "x"], "b": True}) == '{"a" = [1, "x"], "b" = true}'


@pytest.mark.checkout
def test_the_page_about_parts_lists_every_fact_and_every_kind() -> None:
    page = (Path(__file__).parents[3] / "docs" / "your-own-parts.md").read_text("utf-8")
    slots, kinds = page.split("| slot | facts |")[1].split("| kind |")
    for slot, facts in FACTS.items():
        row = slots.split(f"| `{slot}` |")[1].split("\n")[0]
        assert [key for key in facts if f"`{key}`" not in row] == []
    assert [kind for kind in INTERFACES if f"| `{kind}` |" not in kinds] == []
    assert [role for role in ROLES if role not in kinds] == []
