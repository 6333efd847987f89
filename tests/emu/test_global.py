"""Where global fusion wins, and where it refuses with numbers."""

import pytest

from emu.ir.group import Decision
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
        numbers = dict(decision.numbers)
        apart = numbers.pop("apart_ps", None) or numbers.pop("without_ps")
        (fused,) = numbers.values()
        assert fused >= apart


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
