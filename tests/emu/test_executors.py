"""What is priced is what runs: both executors agree, and the counts are the charges."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from emu.devices.driver import plan
from emu.executing.execute import Execution, execute
from emu.ir.fusion.cut import cut
from emu.ir.run_tiles import Moved
from emu.ir.trace import Footprint
from emu.ir.types import Array
from emu.kernels.libraries import LIBRARIES
from emu.models.inputs import random_inputs
from emu.pipeline import Executable, compile
from emu.select import Selector
from tests.emu.cases import DEVICES, SCOPES
from tests.emu.tiny import TINY

STACKS = (
    *(("transformer", fusion, "deep") for fusion in SCOPES),
    ("transformer", "none", "reference"),
    ("transformer", "none", "basic"),
    ("transformer", "vertical", "generated"),
    ("transformer", "vertical", "plain"),
    ("transformer", "vertical", "epilogue"),
    ("transformer", "pattern", "vendor"),
    ("projections", "one group", "basic"),
    ("projections", "horizontal", "deep"),
    ("projections", "horizontal", "generated"),
    ("projections", "horizontal", "vendor"),
    ("activated_inputs", "vertical", "vendor"),
    ("activated_inputs", "one group", "vendor"),
    ("attention", "global", "deep"),
    ("attention", "global", "generated"),
    ("attention", "global", "vendor"),
    ("conv_block", "none", "reference"),
    ("conv_block", "global", "deep"),
    ("conv_block", "global", "generated"),
    ("conv_block", "global", "vendor"),
    ("unet", "vertical", "deep"),
    ("unet", "vertical", "generated"),
    ("mobilenet_v2", "vertical", "deep"),
)


@lru_cache(maxsize=64)
def compiled(model: str, device: str, fusion: str, kernels: str) -> Executable:
    if fusion == "one group":
        return as_one_group(model, device, kernels)
    return compile(TINY[model], device=device, fusion=fusion, kernels=kernels)


def as_one_group(model: str, device: str, kernels: str) -> Executable:
    """A model that is fused whole, whatever the scopes allow: what a plug-in might ask for."""
    made = compile(TINY[model], device=device, kernels=kernels)
    graph, chip = made.compiled.lowered, made.chip
    fused = cut(graph, "one group", [range(len(graph.nodes))], ())
    schedule = Selector(chip, LIBRARIES[kernels], chip.machine.cores).schedule(fused)
    program = plan(schedule, chip.machine)
    found = replace(
        made.compiled,
        fused=fused,
        schedule=schedule,
        program=program,
        trace=chip.simulate(program),
    )
    return Executable(found, chip)


def in_tiles(made: Executable) -> Execution:
    inputs = random_inputs(made.compiled.graph, seed=1)
    return execute(made.compiled.program, made.compiled.lowered, inputs, made.chip.residency)


def walked(made: Executable) -> dict[str, Array]:
    return made.walk().run(random_inputs(made.compiled.graph, seed=1))


def assert_charged(moved: Moved, did: Footprint) -> None:
    """The bytes and operations that were counted one by one are those that were charged."""
    assert sum(moved.fetched.values()) + sum(moved.stored.values()) == did.traffic.total
    assert crossed(moved) + moved.touched == did.onchip_bytes
    assert moved.work == did.work


def crossed(moved: Moved) -> int:
    """Bytes that went into or out of on-chip memory."""
    return sum(moved.loaded.values()) + sum(moved.stored.values())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("model", "fusion", "kernels"), STACKS)
def test_executors_agree_and_counts_are_the_charges(
    model: str, fusion: str, kernels: str, device: str
) -> None:
    made = compiled(model, device, fusion, kernels)

    fast, tiles, again = walked(made), in_tiles(made), walked(made)

    for name in made.compiled.graph.outputs:
        reference = fast[name]
        largest = float(np.max(np.abs(reference)))
        assert 0 < largest < np.inf
        assert float(np.max(np.abs(reference - tiles.read(name)))) <= 1e-5 * largest
        assert np.array_equal(reference, again[name])
    bindings, launches = made.compiled.schedule.bindings, made.compiled.trace.launches
    assert set(tiles.moved) == {i for i, b in enumerate(bindings) if b.program is not None}
    did = {launched.index: launched.did for launched in launches}
    for index, moved in tiles.moved.items():
        assert_charged(moved, did[index])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kernels", ["deep", "vendor", "generated"])
def test_siblings_run_in_one_launch_and_load_what_they_share_once(
    kernels: str, device: str
) -> None:
    together = compiled("projections", device, "horizontal", kernels).compiled
    apart = compiled("projections", device, "vertical", kernels).compiled

    assert [b.kernel for b in together.schedule.bindings] == [f"{kernels}.siblings"] * 2
    assert {len(b.body.outputs) for b in together.schedule.bindings} == {2, 3}
    assert len(apart.schedule.bindings) == 5
    assert together.trace.total_ps < apart.trace.total_ps
    assert together.trace.did.traffic.total < apart.trace.did.traffic.total
    assert together.trace.did.work == apart.trace.did.work


@pytest.mark.parametrize("device", DEVICES)
def test_a_library_without_a_kernel_for_siblings_computes_them_one_by_one(device: str) -> None:
    split = compiled("projections", device, "one group", "basic").compiled.schedule
    apart = compiled("projections", device, "vertical", "basic").compiled.schedule

    assert {b.body for b in split.bindings} == {b.body for b in apart.bindings}
    assert len(split.bindings) == len(apart.bindings)
    (why,) = (d.why for d in split.decisions if d.code == "select:split")
    assert "basic has no kernel" in why


@pytest.mark.parametrize("device", DEVICES)
def test_the_cases_meet_every_kernel_of_every_library_on_every_device(device: str) -> None:
    runs = (compiled(model, device, fusion, kernels) for model, fusion, kernels in STACKS)
    met = {binding.kernel for made in runs for binding in made.compiled.schedule.bindings}

    # Of libraries with the same kernels the first; how they split products changes no tile.
    libraries = {lib.kernels: lib for lib in tuple(LIBRARIES.values())[::-1]}.values()
    every = {f"{lib.name}.{kernel.name}" for lib in libraries for kernel in lib.kernels}
    assert every <= met


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["transformer", "conv_block", "attention"])
def test_tiles_are_bit_equal_when_repeated(model: str, device: str) -> None:
    made = compiled(model, device, "global", "deep")
    first, second = in_tiles(made), in_tiles(made)

    for name in made.compiled.graph.outputs:
        assert np.array_equal(first.read(name), second.read(name))


@pytest.mark.parametrize("model", ["transformer", "unet"])
def test_what_tiles_load_and_store_on_a_gpu_goes_through_the_shared_cache(model: str) -> None:
    made = compiled(model, "gpu", "vertical", "deep")

    tiles = in_tiles(made)

    did = {launched.index: launched.did for launched in made.compiled.trace.launches}
    assert tiles.moved
    assert {i: crossed(m) for i, m in tiles.moved.items()} == {
        i: did[i].l2_bytes for i in tiles.moved
    }


@pytest.mark.parametrize("device", ["systolic", "npu"])
def test_a_chip_without_a_shared_cache_moves_nothing_through_one(device: str) -> None:
    trace = compiled("transformer", device, "vertical", "deep").compiled.trace

    assert trace.did.l2_bytes == 0
    assert trace.did.onchip_bytes > 0
