"""What deciders hear of a device: prices of groups alone, of whole runs, and how a group runs."""

from functools import cache

import pytest

from emu.choose import Prices
from emu.devices.make import make_device
from emu.ir.fusion import decide
from emu.ir.graph import Graph
from emu.ir.passes import DEFAULT_PASSES, run_passes
from emu.kernels.libraries import LIBRARIES
from emu.models.reader import to_graph
from emu.models.zoo import build
from emu.pipeline import compile
from emu.select import Selector

SETTINGS = {"image": 14, "channels": 64}


@cache
def block() -> Graph:
    return run_passes(to_graph(build("conv_block", SETTINGS), {}), DEFAULT_PASSES)


def prices(device: str = "systolic", kernels: str = "deep") -> Prices:
    chip = make_device(device)
    return Prices(block(), Selector(chip, LIBRARIES[kernels], chip.machine.cores))


def test_a_chain_says_what_it_computes_again_and_what_room_it_needs() -> None:
    asked = prices()
    one, chain = asked.alone((0, 1)), asked.alone(range(len(block().nodes)))
    assert one.found
    assert one.numbers["recompute_flops"] == 0
    assert chain.numbers["onchip_bytes"] > one.numbers["onchip_bytes"]
    assert chain.numbers["cores"] == 1


def test_a_group_without_a_kernel_says_why() -> None:
    quote = prices(kernels="basic").alone((0, 1))
    assert not quote.found
    assert quote.ps == 0
    assert "basic has no kernel" in quote.why


def test_what_is_not_worth_it_is_not_timed_but_may_be_later() -> None:
    asked = prices()
    bound = asked.alone((0, 1), worth_ps=0)
    assert bound.found
    assert not bound.timed
    assert asked.alone((0, 1)).ps >= bound.ps
    assert asked.alone((0, 1)).timed


@pytest.mark.parametrize("device", ["gpu", "systolic"])
def test_a_whole_run_takes_what_the_compiled_model_takes(device: str) -> None:
    asked = prices(device)
    fused = decide(block(), "vertical")
    made = compile("conv_block", device=device, settings=SETTINGS).compiled
    assert asked.run(fused) == asked.run(fused) == made.trace.total_ps
    assert asked.run(decide(block(), "none")) > asked.run(fused)


def test_groups_alone_may_be_priced_with_fewer_cores_than_whole_runs() -> None:
    chip, fused = make_device("npu"), decide(block(), "vertical")
    many, few = (Selector(chip, LIBRARIES["deep"], n) for n in (12, 1))
    mixed = Prices(block(), many, few)
    assert mixed.alone((0, 1)).numbers["cores"] == 1
    assert mixed.run(fused) == Prices(block(), many).run(fused)
