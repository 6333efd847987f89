"""Bounds on the time of a stack: below it what must be done, above it a run without overlap."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from emu.devices.make import device_of, make_device
from emu.ir.body import body_of
from emu.lockin.at_least import AtLeast
from emu.lockin.catalogue import load_catalogue
from emu.lockin.outcome import Bench
from emu.lockin.parts import Choice
from emu.lockin.segments import Timed
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build

KNOWN = load_catalogue()
GRAPH = to_graph(build("conv_block", {"image": 16, "channels": 8}), {})
OPS = frozenset(node.op for node in GRAPH.nodes)
NODES = [body_of(GRAPH, [node]).body for node in GRAPH.nodes]
REST = [node for node in NODES if node.nodes[0].op != "Conv"]
CHIP = make_device("npu")
PIXELS = 16 * 16
CONVS = ((8, 2, 1), (2, 2, 9), (2, 8, 1))  # channels read and made, positions of the window


@pytest.fixture(scope="module")
def laboratory() -> Laboratory:
    return Laboratory(KNOWN, Source(GRAPH))


def mixed() -> Iterator[Choice]:
    """Stacks with the kernels of another stack, few of which their compilers can ask for."""
    stacks = list(KNOWN.stacks.values())
    for one, other in zip(stacks, [*stacks[1:], stacks[0]], strict=True):
        yield {**one, "kernels": other["kernels"]}


@pytest.mark.parametrize("choices", [list(KNOWN.stacks.values())[::3], list(mixed())])
def test_a_time_lies_between_its_bounds(laboratory: Laboratory, choices: list[Choice]) -> None:
    for choice in choices:
        most, least = laboratory.at_most(choice), laboratory.at_least(choice)
        timed = laboratory.time(choice)
        assert isinstance(timed, Timed) == isinstance(most, int)
        if isinstance(timed, Timed) and isinstance(most, int):
            assert least <= timed.ps <= most


def host_us(conv: tuple[int, int, int]) -> float:
    """A call of the host for a convolution: 8 to 2 channels, 2 to 2 under 3 x 3, or 2 to 8."""
    ins, outs, window = conv
    host = CHIP.sheet.host
    operations_us = 2 * PIXELS * ins * outs * window / host.gflops / 1000
    moved = 4 * (PIXELS * ins + ins * outs * window + PIXELS * outs)
    return host.dispatch_us + max(operations_us, moved / (host.memory_bandwidth_gb_s * 1000))


def test_some_stacks_have_a_bound_that_says_something(laboratory: Laboratory) -> None:
    assert any(laboratory.at_least(choice) for choice in mixed())


def test_what_kernels_are_listed_for_and_the_chip_takes_costs_the_host_nothing() -> None:
    assert AtLeast(CHIP, OPS, generates=False).ps(REST) == 0


def test_products_without_a_kernel_are_calls_of_the_host() -> None:
    """Each call is dispatched, and takes its operations or its bytes at the rate of the host."""
    found = AtLeast(CHIP, OPS - {"Conv"}, generates=True).ps(NODES)
    assert found == pytest.approx(sum(map(host_us, CONVS)) * 1_000_000, abs=3)


def test_products_keep_all_cores_busy_or_are_calls_of_the_host() -> None:
    """With a host this slow the cores do all; with one this fast it shares the work with them."""
    chip = device_of(replace(CHIP.sheet, compute=replace(CHIP.sheet.compute, clock_mhz=1.0)))
    peak = max(u.flops_per_cycle_per_core.get("f32", 0) for u in chip.sheet.compute.units)
    busy = [2 * PIXELS * i * o * w / peak / chip.machine.cores * 1_000_000 for i, o, w in CONVS]
    called = [host_us(conv) * 1_000_000 for conv in CONVS]
    assert min(called) > sum(busy)
    least = min(call / work for call, work in zip(called, busy, strict=True))
    alone = AtLeast(chip, OPS, generates=False).ps(NODES)
    assert sum(busy) * least / (1 + least) <= alone + 1 <= sum(busy)

    sheet = chip.sheet
    fast = replace(sheet.host, gflops=1e6, memory_bandwidth_gb_s=1e6, dispatch_us=1e-6)
    slow = replace(sheet.compute, clock_mhz=1e-6)
    shared = AtLeast(device_of(replace(sheet, host=fast, compute=slow)), OPS, generates=False)
    assert shared.ps(NODES) < min(busy) * 1_000_000 / 100


def test_an_op_that_can_be_generated_is_not_only_for_the_host() -> None:
    without = OPS - {"Relu"}
    assert AtLeast(CHIP, without, generates=True).ps(REST) == 0
    assert AtLeast(CHIP, without, generates=False).ps(REST) > 0


def test_where_nothing_is_fused_the_host_issues_a_launch_for_each_node() -> None:
    issue_ps = round(CHIP.sheet.launch.issue_us * 1_000_000)
    assert issue_ps < CHIP.sheet.host.dispatch_us * 1_000_000
    assert AtLeast(CHIP, OPS, generates=False, apart=True).ps(NODES) == issue_ps * len(NODES)


def test_what_the_host_alone_keeps_below_the_floor_is_never_planned() -> None:
    fresh = Laboratory(KNOWN, Source(GRAPH))
    slow = next(choice for choice in mixed() if fresh.at_least(choice))
    native = next(s for s in KNOWN.stacks.values() if s["device"] == slow["device"])
    bench = Bench(fresh, native)
    impatient = replace(bench, floor=fresh.at_least(slow) / bench.native.ps / 2)
    assert not impatient.above_floor(slow)
    assert not fresh.shorter
