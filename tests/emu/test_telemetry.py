"""What an orchestrator reads of a run, against the run itself."""

from dataclasses import replace
from typing import Any

import pytest

from emu.account import Account
from emu.ir.trace import Trace
from emu.telemetry import FIGURES, telemetry
from tests.emu.cases import DEVICES, compiled


def account(**changes: Any) -> Account:
    """A run of four launches or so whose orchestrator reads everything there is."""
    made = compiled("mlp", "gpu", "none").compiled
    stack = replace(made.stack, telemetry=tuple(FIGURES))
    return Account(replace(made, stack=stack, **changes))


def spanned(*spans: tuple[int, int], total_ps: int) -> Trace:
    """A trace whose first launches ran at some times, and the others not at all."""
    trace = compiled("mlp", "gpu", "none").compiled.trace
    pad = [(0, 0)] * (len(trace.launches) - len(spans))
    launches = tuple(
        replace(launch, start_ps=start, end_ps=end)
        for launch, (start, end) in zip(trace.launches, [*spans, *pad], strict=True)
    )
    return replace(trace, total_ps=total_ps, launches=launches)


@pytest.mark.parametrize(
    ("spans", "share"),
    [
        ([(100, 300), (300, 400)], 0.3),
        ([(100, 300), (200, 250), (250, 500)], 0.4),  # what overlaps counts once
        ([(600, 1000), (0, 200)], 0.6),
        ([], 0.0),
    ],
)
def test_busy_is_the_share_of_time_in_which_something_runs(
    spans: list[tuple[int, int]], share: float
) -> None:
    assert telemetry(account(trace=spanned(*spans, total_ps=1000)))["busy"] == share


def test_a_chip_is_not_busy_while_the_host_computes() -> None:
    made = account()
    bindings = made.compiled.schedule.bindings
    hosted = (replace(bindings[0], program=None), *bindings[1:])
    schedule = replace(made.compiled.schedule, bindings=hosted)
    spans = [(0, 500), (500, 600)]
    assert telemetry(account(trace=spanned(*spans, total_ps=1000)))["busy"] == 0.6
    trace = spanned(*spans, total_ps=1000)
    assert telemetry(account(schedule=schedule, trace=trace))["busy"] == 0.1


@pytest.mark.parametrize("device", DEVICES)
def test_power_is_the_energy_over_the_time_and_memory_the_most_in_use(device: str) -> None:
    made = compiled("conv_block", device, "vertical").compiled
    asked = Account(replace(made, stack=replace(made.stack, telemetry=("power", "memory"))))
    read = telemetry(asked)
    assert list(read) == ["power", "memory"]
    assert read["power"] * made.trace.total_ps == pytest.approx(asked.energy.total)
    assert read["power"] > asked.chip.sheet.energy.static_w
    assert read["memory"] == made.trace.peak_device_bytes > 0


def test_a_run_that_takes_no_time_is_neither_busy_nor_draws_power() -> None:
    read = telemetry(account(trace=spanned(total_ps=0)))
    assert (read["busy"], read["power"]) == (0.0, 0.0)
