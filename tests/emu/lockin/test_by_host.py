"""Bounds on the time of a stack: below it what the host does, above it a run without overlap."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from emu.devices.make import make_device
from emu.ir.body import body_of
from emu.lockin.by_host import ByHost
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
CHIP = make_device("npu")


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


def test_some_stacks_have_a_bound_that_says_something(laboratory: Laboratory) -> None:
    assert any(laboratory.at_least(choice) for choice in mixed())


def test_nothing_is_only_for_the_host_where_kernels_are_listed_and_the_chip_takes_all() -> None:
    assert ByHost(CHIP, OPS, generates=False).least_ps(NODES) == 0


def test_products_without_a_kernel_are_calls_of_the_host() -> None:
    """Three convs on 16 x 16 pixels: 8 to 2 channels, 2 to 2 under 3 x 3, 2 to 8.

    Each call is dispatched, and takes its operations or its bytes at the rate of the host.
    """
    pixels, host = 16 * 16, CHIP.sheet.host
    convs = ((8, 2, 1), (2, 2, 9), (2, 8, 1))  # channels read and made, positions of the window
    expected = 0.0
    for ins, outs, window in convs:
        operations_us = 2 * pixels * ins * outs * window / host.gflops / 1000
        moved = 4 * (pixels * ins + ins * outs * window + pixels * outs)
        bytes_us = moved / (host.memory_bandwidth_gb_s * 1000)
        expected += host.dispatch_us + max(operations_us, bytes_us)
    found = ByHost(CHIP, OPS - {"Conv"}, generates=True).least_ps(NODES)
    assert found == pytest.approx(expected * 1_000_000, abs=3)


def test_an_op_that_can_be_generated_is_not_only_for_the_host() -> None:
    without = OPS - {"Relu"}
    assert ByHost(CHIP, without, generates=True).least_ps(NODES) == 0
    assert ByHost(CHIP, without, generates=False).least_ps(NODES) > 0


def test_where_nothing_is_fused_the_host_issues_a_launch_for_each_node() -> None:
    issue_ps = round(CHIP.sheet.launch.issue_us * 1_000_000)
    assert issue_ps < CHIP.sheet.host.dispatch_us * 1_000_000
    assert ByHost(CHIP, OPS, generates=False, apart=True).least_ps(NODES) == issue_ps * len(NODES)


def test_what_the_host_alone_keeps_below_the_floor_is_never_planned() -> None:
    fresh = Laboratory(KNOWN, Source(GRAPH))
    slow = next(choice for choice in mixed() if fresh.at_least(choice))
    native = next(s for s in KNOWN.stacks.values() if s["device"] == slow["device"])
    bench = Bench(fresh, native)
    impatient = replace(bench, floor=fresh.at_least(slow) / bench.native.ps / 2)
    assert not impatient.above_floor(slow)
    assert not fresh.shorter
