"""Bounds on the time of a stack: below it what only the host can compute, above it all cores."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

from emu.devices.make import make_device
from emu.lockin.by_host import OnlyHost
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
    assert OnlyHost(CHIP, OPS, generates=False).least_ps(GRAPH) == 0


def test_products_without_a_kernel_take_the_host_their_operations_at_least() -> None:
    """Three convs on 16 x 16 pixels: 8 to 2 channels, 2 to 2 under 3 x 3, 2 to 8."""
    flops = 2 * 16 * 16 * (8 * 2 + 2 * 2 * 3 * 3 + 2 * 8)
    found = OnlyHost(CHIP, OPS - {"Conv"}, generates=True).least_ps(GRAPH)
    assert found == int(Fraction(flops * 1000) / Fraction(str(CHIP.sheet.host.gflops)))


def test_an_op_that_can_be_generated_is_not_only_for_the_host() -> None:
    without = OPS - {"Relu"}
    assert OnlyHost(CHIP, without, generates=True).least_ps(GRAPH) == 0
    assert OnlyHost(CHIP, without, generates=False).least_ps(GRAPH) > 0


def test_what_the_host_alone_keeps_below_the_floor_is_never_planned() -> None:
    fresh = Laboratory(KNOWN, Source(GRAPH))
    slow = next(choice for choice in mixed() if fresh.at_least(choice))
    native = next(s for s in KNOWN.stacks.values() if s["device"] == slow["device"])
    bench = Bench(fresh, native)
    impatient = replace(bench, floor=fresh.at_least(slow) / bench.native.ps / 2)
    assert not impatient.above_floor(slow)
    assert not fresh.on_all_cores
