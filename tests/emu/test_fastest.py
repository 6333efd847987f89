"""What was decided for a graph is remembered for graphs that are alike, and for no other."""

from dataclasses import replace

import pytest

from emu.devices.bounds import serial_ps
from emu.devices.make import device_of
from emu.dump import Watch
from emu.fastest import fastest, quick_plan
from emu.ir.graph import Graph
from emu.ir.schedule import Schedule
from emu.kernels.libraries import LIBRARIES
from emu.models.model import Model
from emu.models.zoo.draft import Draft
from emu.pipeline import Executable, compile


def spelled(half: float) -> Model:
    """x * (1 + erf(x / sqrt(2))) * half: five nodes, a GELU for one half only."""
    draft = Draft("spelled")
    x = draft.input("x", (4, 8))
    scaled = draft.node("Div", "div", x, draft.number("sqrt2", 2**0.5))
    erf = draft.node("Erf", "erf", scaled)
    shifted = draft.node("Add", "add", erf, draft.number("one", 1.0))
    product = draft.node("Mul", "mul", x, shifted)
    draft.node("Mul", "out", product, draft.number("half", half))
    return draft.finish({"out": (4, 8)})


def made(model: Model | str, fusion: str = "pattern") -> Executable:
    return compile(model, device="gpu", fusion=fusion)


def test_graphs_that_differ_in_a_constant_only_are_decided_apart() -> None:
    groups = [len(made(spelled(half)).compiled.fused.groups) for half in (0.5, 0.25, 0.5)]

    assert groups == [1, 5, 1]


@pytest.mark.parametrize("fusion", ["none", "vertical", "global"])
def test_an_equal_graph_gets_equal_groups_around_its_own_weights(fusion: str) -> None:
    first, second = (made("mlp", fusion).compiled for _ in range(2))

    assert second.fused.groups == first.fused.groups
    assert second.schedule.decisions == first.schedule.decisions
    assert second.container == first.container
    assert second.fused.graph is second.lowered
    assert second.schedule.graph is second.lowered


def test_a_given_library_stands_for_the_one_of_the_stack() -> None:
    executable = made("mlp", "vertical")
    graph: Graph = executable.compiled.lowered
    stack, chip = executable.compiled.stack, executable.chip
    shallow = fastest(graph, stack, chip, Watch(), library=LIBRARIES["basic"])

    assert all(b.kernel.startswith(("basic.", "generated.")) for b in shallow[1].bindings)
    assert fastest(graph, stack, chip, Watch())[1] == executable.compiled.schedule


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu", "h100_sxm", "ipu_mk2", "tpu_v5e"])
@pytest.mark.parametrize(
    ("fusion", "decider"),
    [("none", "first-match"), ("vertical", "post-dominator"), ("global", "priority")],
)
def test_quick_plan_without_overlap_takes_no_less_time_than_the_fastest(
    device: str, fusion: str, decider: str
) -> None:
    for model in ("mlp", "attention", "conv_block"):
        executable = compile(model, device=device, fusion=fusion, decider=decider)
        compiled, chip = executable.compiled, executable.chip
        replaying = replace(compiled.stack.compiler, graph_replay="on")
        library = LIBRARIES[compiled.stack.kernels]
        quick = quick_plan(compiled.lowered, compiled.stack, chip, library, "any")
        assert serial_ps(quick[2], chip) >= chip.latency_ps(compiled.program)
        if chip.sheet.launch.replay_us is not None:
            stack = replace(compiled.stack, compiler=replaying)
            quick = quick_plan(compiled.lowered, stack, chip, library, "any")
            best = fastest(compiled.lowered, stack, chip, Watch(), library=library)
            assert serial_ps(quick[2], chip) >= chip.latency_ps(best[2])


@pytest.mark.parametrize("device", ["npu", "ipu_mk2", "ascend_910b", "tpu_v5e"])
def test_numbers_of_cores_left_out_by_launches_are_never_the_fastest(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("mlp", "attention"):
        found = made_on(device, model)
        with monkeypatch.context() as patched:
            patched.setattr("emu.fastest._Case.unfused_ps", no_bound)
            assert made_on(device, model) == found


def no_bound(_: object, cores: int) -> int:
    del cores
    return 0


def made_on(device: str, model: str) -> Schedule:
    """Groups and kernels without fusion on a chip that nobody used before, of slow launches."""
    executable = compile(model, device=device, fusion="none")
    sheet = executable.chip.sheet
    slow = device_of.__wrapped__(replace(sheet, launch=replace(sheet.launch, issue_us=7.0)))
    compiled = executable.compiled
    return fastest(compiled.lowered, compiled.stack, slow, Watch())[1]
