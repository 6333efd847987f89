"""Which resource works when: as often and as long as closed forms say, and one event at a time."""

from collections import Counter
from collections.abc import Iterable
from functools import cache

import pytest

from emu.devices.cores import CoreDevice
from emu.devices.gpu import GpuDevice
from emu.devices.holds import HOST, LINK, NAMES, Hold
from emu.devices.recorder import Recorder
from emu.devices.terms import exact
from emu.devices.tile_cost import Shares
from emu.devices.timeline import OPEN, Clockwork
from emu.devices.wires import RESOURCES
from emu.ir.program import Copy, Launch
from emu.pipeline import Executable, compile

KINDS = ("gpu", "systolic", "npu")


@cache
def made(device: str, fallback: str = "generated") -> Executable:
    return compile("bert_layer", device=device, fallback=fallback, settings={"seq": 64})


def holds(device: str, fallback: str = "generated") -> tuple[Hold, ...]:
    found = made(device, fallback)
    return found.chip.holds(found.compiled.program)


def busy(found: Iterable[Hold]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for hold in found:
        sums[hold.resource] += hold.busy_ps
    return sums


@pytest.mark.parametrize("device", KINDS)
@pytest.mark.parametrize("fallback", ["generated", "host"])
def test_a_resource_does_one_thing_at_a_time_within_the_run(device: str, fallback: str) -> None:
    free: dict[str, int] = {}
    for hold in holds(device, fallback):
        assert free.get(hold.resource, 0) <= hold.start_ps < hold.end_ps
        assert 0 < hold.busy_ps <= hold.end_ps - hold.start_ps + 1  # each is rounded once
        free[hold.resource] = hold.end_ps
    assert max(free.values()) <= made(device, fallback).compiled.trace.total_ps


def in_closed_form(clockwork: Clockwork) -> Counter[str]:
    """For how long a program holds each resource: its kinds of iterations, times how often."""
    sums: Counter[str] = Counter()
    for place, times in enumerate(clockwork.cost.course.times):
        kind = clockwork.kind(place)
        for held in (kind, kind.preload.shift) if kind.preload else (kind,):
            sums[NAMES[RESOURCES[held.resource]]] += held.busy_ps * times
    return +sums


@pytest.mark.parametrize("device", ["systolic", "npu"])
def test_resources_of_a_core_are_held_as_long_as_the_closed_form_says(device: str) -> None:
    found = made(device)
    assert isinstance(found.chip, CoreDevice)
    expected: Counter[str] = Counter()
    for command in found.compiled.program.commands:
        if isinstance(command, Launch):
            expected += in_closed_form(found.chip.clockwork(command.program, Shares()))
    sums = busy(holds(device))
    assert Counter({name: sums[name] for name in NAMES.values()}) == expected


@pytest.mark.parametrize("device", ["systolic", "npu"])
def test_what_repeats_is_held_as_when_each_event_is_stepped(device: str) -> None:
    """A jumped stretch has the events of its periods, from the first start to the last end."""
    found, jumped_any = made(device), False
    assert isinstance(found.chip, CoreDevice)
    for command in found.compiled.program.commands:
        if not isinstance(command, Launch):
            continue
        clockwork = found.chip.clockwork(command.program, Shares())
        entries = (0,) * (OPEN + 1 + len(clockwork.inputs))
        jumped, stepped = Recorder(), Recorder()
        clockwork.passage(entries, recorder=jumped)
        clockwork.passage(entries, stepwise=True, recorder=stepped)
        jumped_any |= len(jumped.held) < len(stepped.held)
        for resource in range(len(RESOURCES)):
            events = iter(h for h in stepped.held if h.resource == resource)
            for held in (h for h in jumped.held if h.resource == resource):
                inside = [next(events) for _ in range(sum(held.kinds.values()))]
                assert (inside[0].start_ps, inside[-1].end_ps) == (held.start_ps, held.end_ps)
                kinds = Counter(kind for event in inside for kind in event.kinds)
                assert kinds == held.kinds
            assert next(events, None) is None
    assert jumped_any


def test_the_memory_of_a_gpu_is_held_for_its_bytes() -> None:
    found = made("gpu")
    assert isinstance(found.chip, GpuDevice)
    held = [h for h in holds("gpu") if h.resource == "device memory"]
    waited = sum(ps for h in held for (_, cause), ps in h.shares.items() if cause == "wait")
    by_hand = found.compiled.trace.did.traffic.total / found.chip.rates.dram
    assert abs(busy(held)["device memory"] - waited - by_hand) <= 2 * len(held)


def test_host_and_link_are_held_for_calls_and_copies() -> None:
    found = made("npu", "host")
    copies = [c for c in found.compiled.program.commands if isinstance(c, Copy)]
    held = [h for h in holds("npu", "host") if h.resource == LINK]
    assert [h.size for h in held] == [c.size for c in copies]
    facts = found.chip.sheet.link
    by_hand = sum(
        exact(facts.latency_us) * 10**6 + c.size * 1000 / exact(facts.bandwidth_gb_s)
        for c in copies
    )
    assert 0 <= busy(held)[LINK] - by_hand <= len(copies)
    causes = {cause for h in holds("npu", "host") if h.resource == HOST for _, cause in h.shares}
    assert causes == {"launch", "host"}
