"""Bounds on the price of a tile program and on a whole run lie where they say."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.bounds import issued_ps, least_host_ps, serial_ps
from emu.devices.datasheet import load_datasheet
from emu.devices.device import Device
from emu.devices.driver import captured
from emu.devices.host import call_ps
from emu.devices.make import device_of, make_device
from emu.ir.program import Copy, HostCall, Launch
from emu.kernels.build import build
from emu.kernels.libraries import LIBRARIES
from emu.kernels.tiling import Tiling
from emu.pipeline import compile
from tests.bodies import BODIES
from tests.tiles import tilings

CHIPS = [make_device(name, "native") for name in ("gpu", "systolic", "npu")]


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_bound_lies_above_the_price(chip: Device, data: st.DataObject) -> None:
    body = BODIES[data.draw(st.sampled_from(sorted(BODIES)))]()
    tiling = data.draw(tilings(body))
    program = build(body, replace(tiling, cores=0) if chip.machine.grid else tiling, "any")

    assert chip.bound_ps(program) <= chip.least_ps(program) <= chip.price(program)


def test_the_close_bound_of_a_gpu_knows_how_few_requests_small_tiles_have_in_flight() -> None:
    chip = CHIPS[0]
    body = BODIES["matmul"]()
    kernel = LIBRARIES["reference"].kernels[1]
    ((_, program),) = list(LIBRARIES["reference"].programs(kernel, body, chip.machine))[:1]

    assert chip.bound_ps(program) < chip.least_ps(program) <= chip.price(program)


@pytest.mark.parametrize("model", ["mlp", "conv_block", "attention", "diamond"])
@pytest.mark.parametrize("device", ["gpu", "systolic", "npu", "h100_sxm", "ipu_mk2", "tpu_v5e"])
def test_a_run_in_which_nothing_overlaps_takes_no_less_time(model: str, device: str) -> None:
    for fusion in ("none", "vertical"):
        executable = compile(model, device=device, fusion=fusion, kernels="vendor")
        chip, program = executable.chip, executable.compiled.program
        assert serial_ps(program, chip) >= chip.latency_ps(program)


def test_one_launch_has_nothing_to_overlap_with() -> None:
    executable = compile("mlp", settings={"layers": 1}, device="npu")
    chip, program = executable.chip, executable.compiled.program
    assert sum(isinstance(command, Launch) for command in program.commands) == 1
    assert serial_ps(program, chip) == chip.latency_ps(program)


def test_the_host_and_the_link_are_counted_too() -> None:
    executable = compile(
        "bert_layer", settings={"seq": 32}, device="npu", kernels="basic", fallback="composed"
    )
    chip, program = executable.chip, executable.compiled.program
    steps = [c for c in program.commands if isinstance(c, HostCall | Launch)]
    copies = [c for c in program.commands if isinstance(c, Copy)]
    assert len({type(step) for step in steps}) == 2
    parts = [
        call_ps(c.body, chip.rates)
        if isinstance(c, HostCall)
        else issued_ps(c.program, chip) + round(chip.sheet.launch.issue_us * 1_000_000)
        for c in steps
    ]
    crossing_ps = len(copies) * round(chip.sheet.link.latency_us * 1_000_000)
    assert serial_ps(program, chip) > sum(parts) + crossing_ps
    assert serial_ps(program, chip) >= chip.latency_ps(program)


def test_a_graph_is_issued_once() -> None:
    executable = compile("mlp", device="h100_sxm", fusion="none")
    chip, program = executable.chip, executable.compiled.program
    launches = sum(isinstance(command, Launch) for command in program.commands)
    facts = chip.sheet.launch
    assert facts.replay_us is not None
    each_us = facts.issue_us + facts.start_us - (facts.replayed_us or facts.start_us)
    saved = round((launches * each_us - facts.replay_us) * 1_000_000)
    assert serial_ps(program, chip) - serial_ps(captured(program), chip) == saved


def test_the_host_issues_a_body_or_computes_it_whichever_is_less() -> None:
    sheet = load_datasheet("npu")
    body = BODIES["matmul"]()
    for issue_us in (0.5, 1e6):
        chip = device_of(replace(sheet, launch=replace(sheet.launch, issue_us=issue_us)))
        least = min(round(issue_us * 1_000_000), call_ps(body, chip.rates))
        assert least_host_ps(body, chip) == least


def test_a_launch_that_was_issued_starts_and_then_runs() -> None:
    chip = CHIPS[0]
    program = build(BODIES["matmul"](), Tiling((2, 2), cores=0), "any")
    start_ps = round(chip.sheet.launch.start_us * 1_000_000)
    assert issued_ps(program, chip) == start_ps + chip.price(program)
