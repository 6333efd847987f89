"""What holds on every chip that emu has, whatever its facts: sampled facts of each datasheet."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from emu.devices.cores import CoreDevice
from emu.devices.datasheet import (
    Datasheet,
    Unit,
    datasheet_figures,
    device_names,
    load_datasheet,
)
from emu.devices.device import product_flops
from emu.devices.gpu import GpuDevice
from emu.devices.make import device_of, make_device
from emu.devices.power import dynamic_pj
from emu.devices.terms import settle
from emu.devices.tile_cost import Shares
from emu.devices.timeline import OPEN, Clockwork
from emu.dtype import computes
from emu.energy import energy_pj
from emu.ir.program import Launch
from emu.models.model import Model
from emu.models.zoo.draft import Draft, fan_in
from emu.pipeline import compile, lower
from emu.run import Compiled

CHIPS = device_names()
DTYPES = ("fp32", "fp16", "bf16", "int8")
# What a figure is, by the end of its key: a rate is better when higher, a cost when lower.
RATES = ("_gb_s", "_mhz", "_per_cycle", "_per_cycle_per_core", "gflops", "power_w")
FLOPS = "flops_per_cycle_per_core."  # of a unit, by element type
COSTS = ("_ns", "_us", "_cycles", "_pj_byte", "pj_per_flop_f32", "pj_per_transcendental")
PER_TIME = ("_gb_s", "_mhz", "gflops", "power_w")
OF_TIME = ("_ns", "_us")
EVENTS = 2_000  # more than the small model has on any chip
# An interval between refreshes is neither: a longer one is better, as a rate is.
BETTER_LONG = ("refresh_interval_ns",)


def small() -> Model:
    """A product with edges, rows that are summed, and elements, so that every unit works."""
    draft = Draft("small")
    x = draft.input("x", (72, 200))
    y = draft.node("MatMul", "y", x, draft.weight("w", (200, 300), fan_in(200)))
    z = draft.node("Softmax", "z", draft.node("Relu", "r", y))
    v = draft.weight("v", (300, 136), fan_in(300))
    return draft.finish({draft.node("Sigmoid", "s", draft.node("MatMul", "u", z, v)): (72, 136)})


@cache
def compiled(chip: str) -> Compiled:
    dtype = next(dtype for dtype in DTYPES if computes(make_device(chip), dtype))
    return compile(small(), device=chip, dtype=dtype).compiled


def time_on(sheet: Datasheet, chip: str) -> int:
    """How long the program for the chip as it is takes on one with other facts."""
    return device_of(sheet).simulate(compiled(chip).program).total_ps


def better(key: str) -> bool | None:
    """Whether a higher figure is the better one, None for a key that is neither rate nor cost."""
    if key.endswith((*RATES, *BETTER_LONG)) or FLOPS in key:
        return True
    return False if key.endswith(COSTS) else None


def times(block: Any, key: str, factor: float) -> Any:
    """A datasheet, or a block of it, with one figure times a factor."""
    first, _, rest = key.partition(".")
    if isinstance(block, Mapping):
        figures: dict[str, float] = dict(cast("Mapping[str, float]", block))
        return {**figures, first: figures[first] * factor}
    if isinstance(block, tuple):  # the units, which go by their names
        units = cast("tuple[Unit, ...]", block)
        return tuple(times(u, rest, factor) if u.name == first else u for u in units)
    old = getattr(block, first)
    return replace(block, **{first: times(old, rest, factor) if rest else old * factor})


@cache
def keys(chip: str) -> tuple[str, ...]:
    """Every rate and cost in the file of a chip."""
    return tuple(key for key in datasheet_figures(chip) if better(key) is not None)


@seed(7)
@pytest.mark.parametrize("chip", CHIPS)
@settings(max_examples=5, deadline=None, database=None)
@given(data=st.data())
def test_a_better_fact_is_never_slower(chip: str, data: st.DataObject) -> None:
    wanted = data.draw(st.sets(st.sampled_from(keys(chip)), min_size=1, max_size=4))
    by = data.draw(st.sampled_from((1.03, 2.0, 7.7, 100.0)))
    sheet = load_datasheet(chip)
    for key in sorted(wanted):
        sheet = times(sheet, key, by if better(key) else 1 / by)
    assert time_on(sheet, chip) <= time_on(load_datasheet(chip), chip)


@pytest.mark.parametrize("chip", CHIPS)
def test_with_more_cores_a_model_compiled_again_is_never_slower(chip: str) -> None:
    sheet, made = load_datasheet(chip), compiled(chip)
    fewer = 1 << max(0, sheet.compute.cores.bit_length() - 2)
    smaller = device_of(replace(sheet, compute=replace(sheet.compute, cores=fewer)))
    assert lower(made.lowered, made.stack, smaller)[4].total_ps >= made.trace.total_ps


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("by", [2, 5])
def test_twice_as_fast_in_everything_takes_half_the_time(chip: str, by: int) -> None:
    """Rates and powers times a factor, times by it: only the unit of time is another."""
    sheet = load_datasheet(chip)
    for key in keys(chip):
        if key.endswith(PER_TIME):
            sheet = times(sheet, key, by)
        elif key.endswith(OF_TIME):
            sheet = times(sheet, key, 1 / by)
    sheet = times(sheet, "energy.static_w", by)
    before, after = time_on(load_datasheet(chip), chip), time_on(sheet, chip)
    # An event is rounded up to a picosecond once, so as many may be lost as there are events.
    assert before <= by * after <= before + by * EVENTS


@seed(7)
@pytest.mark.parametrize("chip", CHIPS)
@settings(max_examples=3, deadline=None, database=None)
@given(data=st.data())
def test_no_run_is_faster_than_its_work_or_cheaper_than_its_parts(
    chip: str, data: st.DataObject
) -> None:
    sheet = load_datasheet(chip)
    for key in data.draw(st.sets(st.sampled_from(keys(chip)), max_size=4)):
        sheet = times(sheet, key, data.draw(st.sampled_from((0.3, 0.9, 1.1, 4.0))))
    device, program = device_of(sheet), compiled(chip).program
    trace = device.simulate(program)
    launches = [command for command in program.commands if isinstance(command, Launch)]

    loading = trace.did.traffic.total / device.rates.dram
    work = (product for launch in launches for product in product_flops(launch.body))
    computing = sum(n / (device.rates.best_product(t) * device.rates.cores) for t, n in work)
    assert trace.total_ps >= max(loading, computing)
    assert sum(trace.ledger.values()) == trace.total_ps

    energy = energy_pj(trace, sheet)
    parts = (*energy.operations.values(), *energy.levels.values(), energy.static)
    assert min(parts) >= 0
    assert energy.total == sum(parts)
    exactly = dynamic_pj(trace.did, sheet) + trace.total_ps * Fraction(str(sheet.energy.static_w))
    assert 0 <= exactly - energy.total < 2  # each of the two is rounded down once


@pytest.mark.parametrize("chip", CHIPS)
def test_closed_forms_equal_stepping_event_by_event(chip: str) -> None:
    device = make_device(chip)
    for command in compiled(chip).program.commands:
        if not isinstance(command, Launch):
            continue
        if isinstance(device, GpuDevice):
            waves = device.waves(command.program)
            for cores in waves.candidates():
                assert waves.at_least(cores) <= waves.ps(cores) == settle(waves.phases(cores)).ps
            assert waves.best()[0] == min(map(waves.ps, waves.candidates()))
        else:
            assert isinstance(device, CoreDevice)
            work = device.clockwork(command.program, Shares())
            entries = (0,) * (OPEN + 1 + len(work.inputs))
            assert passed(work, entries) == passed(work, entries, stepwise=True)


def passed(work: Clockwork, entries: tuple[int, ...], stepwise: bool = False) -> object:
    """Every time of a passage, and what is charged on the way to its end."""
    found = work.passage(entries, stepwise)
    free = [moment.ps for moment in found.free]
    return free, found.end.ps, work.charges(found.end.path, Shares())
