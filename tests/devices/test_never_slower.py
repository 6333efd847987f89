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


# Facts by their path, and whether the higher figure is the faster one.
FACTS = {
    "memory.dram.bandwidth_gb_s": True,
    "memory.dram.latency_ns": False,
    "memory.onchip.bytes_per_cycle_per_core": True,
    "memory.l2.bandwidth_gb_s": True,
    "compute.clock_mhz": True,
    "launch.issue_us": False,
    "launch.start_us": False,
    "link.bandwidth_gb_s": True,
    "link.latency_us": False,
    "host.gflops": True,
    "host.memory_bandwidth_gb_s": True,
    "host.dispatch_us": False,
}


def facts(device: str) -> st.SearchStrategy[str]:
    """The facts that a device of this kind has."""
    return st.sampled_from([fact for fact in FACTS if device == "gpu" or ".l2." not in fact])


def faster(sheet: Datasheet, fact: str, by: float) -> Datasheet:
    """The datasheet with one fact better by a factor."""
    return changed(sheet, fact.split("."), by if FACTS[fact] else 1 / by)


def changed(block: Any, path: list[str], by: float) -> Any:
    """A block of a datasheet with the figure at the end of a path times a factor."""
    old = getattr(block, path[0])
    new = changed(old, path[1:], by) if path[1:] else old * by
    return replace(block, **{path[0]: new})


@pytest.mark.parametrize("device", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_frozen_program_is_never_slower_with_a_higher_rate(
    device: str, data: st.DataObject
) -> None:
    model = data.draw(st.sampled_from(sorted(MODELS)))
    wanted = data.draw(st.sets(facts(device), min_size=1, max_size=3))
    by = data.draw(st.sampled_from((1.03, 1.5, 2.0, 7.7, 100.0)))
    sheet, program = load_datasheet(device), compiled(model, device).program

    before = device_of(sheet).simulate(program).total_ps
    for fact in sorted(wanted):
        sheet = faster(sheet, fact, by)
    after = device_of(sheet).simulate(program).total_ps

    assert after <= before


@pytest.mark.parametrize("device", KINDS)
@pytest.mark.parametrize("unit", ["vector", "matrix"])
def test_a_frozen_program_is_never_slower_with_faster_units(device: str, unit: str) -> None:
    sheet, program = load_datasheet(device), compiled("bert_layer", device).program
    latencies = [device_of(sheet).simulate(program).total_ps]
    for by in (1.5, 2, 8):
        chip = device_of(with_unit(sheet, unit, by))
        latencies.append(chip.simulate(program).total_ps)

    assert latencies == sorted(latencies, reverse=True)


def with_unit(sheet: Datasheet, name: str, by: float) -> Datasheet:
    """The datasheet with every rate of one unit higher by a factor."""
    units = tuple(
        replace(
            u, flops_per_cycle_per_core={d: r * by for d, r in u.flops_per_cycle_per_core.items()}
        )
        if u.name == name
        else u
        for u in sheet.compute.units
    )
    return replace(sheet, compute=replace(sheet.compute, units=units))


@pytest.mark.parametrize("model", ["conv_block", "attention"])
@pytest.mark.parametrize(
    ("device", "counts"),
    [
        ("gpu", (7, 20, 56, 57, 80, 108, 120)),
        ("systolic", (1, 2, 3, 4)),
        ("npu", (1, 2, 5, 8, 9, 16)),
    ],
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
