"""More of anything is never slower, with the program frozen; more cores, compiled again."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.datasheet import Datasheet, load_datasheet
from emu.devices.make import device_of
from emu.pipeline import compile, lower
from emu.run import Compiled

MODELS = {"conv_block": {}, "attention": {"seq": 256}, "bert_layer": {"seq": 64}}
KINDS = ("gpu", "systolic", "npu")


def compiled(model: str, device: str) -> Compiled:
    return compile(model, device=device, settings=MODELS[model]).compiled


def faster(sheet: Datasheet, fact: str, by: float) -> Datasheet:
    """The datasheet with one fact better by a factor."""
    dram, onchip = sheet.memory.dram, sheet.memory.onchip

    def memory(**changes: Any) -> Datasheet:
        return replace(sheet, memory=replace(sheet.memory, **changes))

    changed: dict[str, Datasheet] = {
        "bandwidth": memory(dram=replace(dram, bandwidth_gb_s=dram.bandwidth_gb_s * by)),
        "latency": memory(dram=replace(dram, latency_ns=dram.latency_ns / by)),
        "port": memory(
            onchip=replace(onchip, bytes_per_cycle_per_core=onchip.bytes_per_cycle_per_core * by)
        ),
        "clock": replace(
            sheet, compute=replace(sheet.compute, clock_mhz=sheet.compute.clock_mhz * by)
        ),
        "issue": replace(sheet, launch=replace(sheet.launch, issue_us=sheet.launch.issue_us / by)),
        "start": replace(sheet, launch=replace(sheet.launch, start_us=sheet.launch.start_us / by)),
        "link": replace(sheet, link=replace(sheet.link, latency_us=sheet.link.latency_us / by)),
        "host": replace(sheet, host=replace(sheet.host, gflops=sheet.host.gflops * by)),
    }
    if sheet.memory.l2 is not None:
        l2 = sheet.memory.l2
        changed["l2"] = memory(l2=replace(l2, bandwidth_gb_s=l2.bandwidth_gb_s * by))
    return changed.get(fact, sheet)


@pytest.mark.parametrize("device", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_frozen_program_is_never_slower_with_a_higher_rate(
    device: str, data: st.DataObject
) -> None:
    model = data.draw(st.sampled_from(sorted(MODELS)))
    fact = data.draw(
        st.sampled_from(
            ("bandwidth", "latency", "port", "clock", "issue", "start", "link", "host", "l2")
        )
    )
    by = data.draw(st.sampled_from((1.03, 1.5, 2.0, 7.7, 100.0)))
    sheet, program = load_datasheet(device), compiled(model, device).program

    before = device_of(sheet).simulate(program).total_ps
    after = device_of(faster(sheet, fact, by)).simulate(program).total_ps

    assert after <= before


@pytest.mark.parametrize("model", ["conv_block", "attention"])
@pytest.mark.parametrize(
    ("device", "counts"), [("gpu", (7, 20, 56, 57, 80, 108)), ("npu", (1, 2, 3, 5, 8, 9, 16))]
)
def test_with_more_cores_a_model_compiled_again_is_never_slower(
    model: str, device: str, counts: tuple[int, ...]
) -> None:
    made, sheet = compiled(model, device), load_datasheet(device)
    latencies: list[int] = []
    for cores in counts:
        chip = device_of(replace(sheet, compute=replace(sheet.compute, cores=cores)))
        latencies.append(lower(made.lowered, made.stack, chip)[4].total_ps)

    assert latencies == sorted(latencies, reverse=True)
