"""What is priced is what runs: both executors agree, and the counts are the charges."""

import numpy as np
import pytest

from emu.execute import Execution, execute
from emu.ir.run_tiles import Moved
from emu.ir.trace import Footprint
from emu.kernels.libraries import LIBRARIES
from emu.models.inputs import random_inputs
from emu.pipeline import Executable
from tests.emu.cases import DEVICES, compiled

CASES = [
    *(("conv_block", d, f, "deep") for d in DEVICES for f in ("none", "global")),
    *(("attention", d, f, "deep") for d in DEVICES for f in ("none", "global")),
    *(("bert_layer", d, "pattern", "deep") for d in ("systolic", "npu")),
    *(("bert_layer", d, "vertical", "deep") for d in ("systolic", "npu")),
    *(("mlp", d, "vertical", k) for d in DEVICES for k in LIBRARIES),
    *(("conv_block", d, "none", k) for d in ("gpu", "npu") for k in ("reference", "basic")),
    *(("conv_block", d, "global", "generated") for d in ("gpu", "systolic")),
    *(("attention", d, "global", "generated") for d in ("gpu", "npu")),
    *(("diamond", d, "vertical", k) for d in DEVICES for k in ("deep", "generated")),
    ("bert_layer", "systolic", "global", "deep"),
    ("gpt2", "systolic", "none", "basic"),
    ("gpt2", "npu", "none", "reference"),
    ("gpt2", "systolic", "pattern", "generated"),
]


def executed(made: Executable, executor: str) -> Execution:
    inputs = random_inputs(made.compiled.graph, seed=1)
    bindings = made.compiled.schedule.bindings
    tilewise = frozenset(i for i, binding in enumerate(bindings) if binding.tilewise)
    return execute(
        made.compiled.program,
        made.compiled.lowered,
        inputs,
        executor,
        tilewise,
        made.chip.residency,
    )


def assert_charged(moved: Moved, did: Footprint) -> None:
    """The bytes and operations that were counted one by one are those that were charged."""
    crossed = sum(moved.loaded.values()) + sum(moved.stored.values())
    assert sum(moved.fetched.values()) + sum(moved.stored.values()) == did.traffic.total
    assert crossed + moved.touched == did.onchip_bytes
    assert did.l2_bytes in (0, crossed)
    assert moved.work == did.work


@pytest.mark.parametrize(("model", "device", "fusion", "kernels"), CASES)
def test_executors_agree_and_counts_are_the_charges(
    model: str, device: str, fusion: str, kernels: str
) -> None:
    made = compiled(model, device, fusion, kernels)

    fast, tiles = executed(made, "fast"), executed(made, "tiles")
    again = executed(made, "fast")

    for name in made.compiled.graph.outputs:
        reference = fast.read(name)
        largest = float(np.max(np.abs(reference)))
        assert float(np.max(np.abs(reference - tiles.read(name)))) <= 1e-5 * largest
        assert np.array_equal(reference, again.read(name))
    did = {launched.index: launched.did for launched in made.compiled.trace.launches}
    assert tiles.moved
    for index, moved in tiles.moved.items():
        assert_charged(moved, did[index])


def test_the_cases_meet_every_kernel_of_every_library() -> None:
    met = {
        binding.kernel for case in CASES for binding in compiled(*case).compiled.schedule.bindings
    }

    every = {f"{lib.name}.{kernel.name}" for lib in LIBRARIES.values() for kernel in lib.kernels}
    assert every <= met


def test_tiles_are_bit_equal_when_repeated() -> None:
    made = compiled("conv_block", "systolic", "global")
    first, second = executed(made, "tiles"), executed(made, "tiles")

    for name in made.compiled.graph.outputs:
        assert np.array_equal(first.read(name), second.read(name))
