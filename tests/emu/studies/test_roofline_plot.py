"""The picture of a roofline: roofs and dots by hand, and files that are pictures."""

import sys
from functools import cache
from pathlib import Path

import pytest

from emu.cli import main
from emu.devices.make import make_device
from emu.ir.errors import BadOption
from emu.pipeline import compile
from emu.run import Compiled
from emu.studies.roofline_plot import LABELLED, dots, draw, must_be_picture, roofs


@cache
def made(device: str) -> Compiled:
    return compile("mlp", device=device).compiled


def test_roofs_are_the_peaks_of_a_chip_and_meet_the_memory_at_the_ridge() -> None:
    found = {roof.dtype: roof for roof in roofs(make_device("tpu_v1"))}
    assert found["i8"].flops_s == pytest.approx(131072 * 700e6)
    assert found["i8"].bytes_s == pytest.approx(34e9)
    assert found["i8"].ridge == pytest.approx(2 * 1350, rel=0.01)  # the paper counts multiply-adds
    assert "i64" not in found


@pytest.mark.parametrize("device", ["gpu", "systolic"])
def test_no_dot_is_over_its_roof_and_the_first_takes_most_time(device: str) -> None:
    compiled, roof = made(device), next(r for r in roofs(make_device(device)) if r.dtype == "f32")
    found = dots(compiled)
    assert len(found) == len(compiled.trace.launches)
    assert [d.ps for d in found] == sorted((d.ps for d in found), reverse=True)
    for dot in found:
        assert dot.flops_s <= min(roof.flops_s, roof.bytes_s * dot.intensity) * (1 + 1e-9)
    launch, first = compiled.trace.launches, found[0]
    (same,) = (one for one in launch if one.end_ps - one.start_ps == first.ps)
    assert first.intensity == same.did.work.flops / same.did.traffic.total
    assert first.flops_s == same.did.work.flops / first.ps * 1e12


def test_pictures_are_drawn_with_labels_and_are_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "roof.svg"
    assert main(["roofline", "mlp", "-d", "gpu,npu", "--plot", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    text = path.read_text("utf-8")
    assert text.startswith("<?xml")
    for said in ("gpu f32", "npu f32", "operations per byte", dots(made("gpu"))[0].name):
        assert said in text
    runs = [compile("mlp", device=device).compiled for device in ("gpu", "npu")]
    assert text.count(" us<") == sum(min(LABELLED, len(dots(run))) for run in runs)
    draw(tmp_path / "again.svg", runs)
    assert (tmp_path / "again.svg").read_text("utf-8") == text
    draw(tmp_path / "roof.png", [made("gpu")])
    assert (tmp_path / "roof.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadOption, match=r"roof.gif: a picture ends in .png or .svg"):
        must_be_picture(tmp_path / "roof.gif")
    with pytest.raises(BadOption, match="its folder does not exist"):
        must_be_picture(tmp_path / "none" / "roof.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(BadOption, match=r"roof.png: needs matplotlib: pip install 'emu\[plot\]'"):
        must_be_picture(tmp_path / "roof.png")
