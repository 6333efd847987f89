"""Where global fusion wins, and where it refuses with numbers."""

import re
from pathlib import Path

import pytest

from emu.devices.datasheet import FOLDER
from emu.ir.group import Decision
from emu.ir.traffic import boundary_bytes
from emu.models.model import Model
from emu.models.zoo.draft import Draft
from emu.models.zoo.transformer import attention_core
from emu.pipeline import compile
from emu.run import Compiled


@pytest.fixture(scope="module")
def resnet50() -> Compiled:
    return compile("resnet50", device="systolic", fusion="global").compiled


def about(made: Compiled, start: str, code: str, ok: bool) -> list[Decision]:
    return [
        d
        for d in made.schedule.decisions
        if d.code == code and d.ok is ok and all(start in node for node in d.nodes)
    ]


def test_early_stages_of_resnet50_are_fused_and_the_run_is_faster(resnet50: Compiled) -> None:
    vertical = compile("resnet50", device="systolic", fusion="vertical").compiled

    assert resnet50.trace.total_ps < vertical.trace.total_ps
    assert about(resnet50, "stage1", "global:cost", ok=True)
    accepted = about(resnet50, "stage1", "global:cost", ok=True)[0]
    assert accepted.numbers["run_ps"] < accepted.numbers["without_ps"]


def test_blocks_of_stage_4_are_refused_with_the_numbers(resnet50: Compiled) -> None:
    refused = about(resnet50, "stage4", "global:cost", ok=False)

    assert refused
    for decision in refused:
        numbers = decision.numbers
        alone = "fused_ps" if "fused_ps" in numbers else "fused_ps_at_least"
        fused, apart = ("run_ps", "without_ps") if "run_ps" in numbers else (alone, "apart_ps")
        assert numbers[fused] >= numbers[apart]
        assert {"onchip_bytes", "recompute_flops", "cores", "read_bytes"} <= set(numbers)


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_attention_over_2048_tokens_wins_on_every_device(device: str) -> None:
    settings = {"seq": 2048}
    vertical, whole = (
        compile("attention", device=device, fusion=fusion, settings=settings).compiled.trace
        for fusion in ("vertical", "global")
    )

    assert whole.total_ps < vertical.total_ps
    assert whole.did.traffic.total < vertical.did.traffic.total / 4


def test_a_chain_that_does_not_fit_says_how_much_it_needs() -> None:
    made = compile("conv_block", device="gpu", fusion="global").compiled
    reasons = [d.why for d in made.schedule.decisions if d.code == "global:no-kernel"]

    assert any("needs" in why and "bytes on chip, has 430,080" in why for why in reasons)


def with_room(folder: Path, kib: int, gb_s: int = 300) -> Path:
    """The systolic chip with so much on-chip memory, in fine banks, and so fast a device memory."""
    text = (FOLDER / "systolic.toml").read_text("utf-8")
    fine = re.sub(r"(bank_kib =) \d+", r"\1 1", text)
    roomy = re.sub(r"(capacity_kib\s*=) \d+", rf"\1 {kib}", fine)
    file = folder / f"room{kib}.toml"
    file.write_text(re.sub(r"(?m)^(bandwidth_gb_s  =) 300", rf"\1 {gb_s}", roomy), "utf-8")
    return file


def test_with_room_for_all_weights_each_bottleneck_is_one_chain(tmp_path: Path) -> None:
    unlimited = with_room(tmp_path, kib=1 << 24, gb_s=1)
    made = compile("resnet50", device=unlimited, fusion="global").compiled

    crossing = boundary_bytes(made.fused)
    moved = crossing.activations_read + crossing.activations_written
    assert len(made.fused.groups) == 18
    assert round(moved / 1e6, 1) == 46.4


def attention_core_of(seq: int) -> Model:
    """12 heads x 64 with K transposed already."""
    draft = Draft("attention")
    q, v = (draft.input(name, (1, 12, seq, 64)) for name in "qv")
    k = draft.input("k", (1, 12, 64, seq))
    attention_core(draft, "attention", (q, k, v), 64, output="context")
    return draft.finish({"context": (1, 12, seq, 64)})


# What online softmax may move at most in f16, by on-chip memory; f32 needs twice of both.
@pytest.mark.parametrize(
    ("seq", "kib", "mb"),
    [(128, 128, 0.8), (128, 1024, 0.8), (2048, 128, 107), (2048, 1024, 18.9), (8192, 1024, 226.5)],
)
def test_online_softmax_rereads_less_the_more_room_it_has(
    seq: int, kib: int, mb: float, tmp_path: Path
) -> None:
    chip = with_room(tmp_path, kib=2 * kib)
    made = compile(attention_core_of(seq), device=chip, fusion="global").compiled

    assert len(made.fused.groups) == 1
    assert round(made.trace.did.traffic.total / 2e6, 1) <= mb
