"""Values that stay on chip between launches: equal values, fewer bytes, never over capacity."""

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emu
from emu.account import Account
from emu.cli import main
from emu.devices.driver import keep_on_chip, plan
from emu.ir.errors import Unsupported
from emu.ir.program import Drop, Keep, Launch, Program
from emu.ir.regions import footprint_bytes
from emu.models.model import Model
from emu.models.zoo.draft import Draft, fan_in
from emu.pipeline import Executable
from tests.emu.tiny import tiny_transformer

CHIPS = ("systolic", "npu", "tpu_v4i", "atom")
KINDS = ("relu", "add", "product", "turn", "softmax")


@st.composite
def chains(draw: st.DrawFn) -> Model:
    """Products, turns, norms and branches that meet again, of sizes that leave edges."""
    draft, size = Draft("chain"), draw(st.integers(8, 48))
    x = older = draft.input("x", (size, size))
    for i, kind in enumerate(draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=6))):
        before = x
        if kind == "product":
            x = draft.node("MatMul", f"v{i}", x, draft.weight(f"w{i}", (size, size), fan_in(size)))
        elif kind == "add":
            x = draft.node("Add", f"v{i}", x, older)
        elif kind == "turn":
            x = draft.node("Transpose", f"v{i}", x, perm=(1, 0))
        else:
            x = draft.node("Relu" if kind == "relu" else "Softmax", f"v{i}", x)
        older = before
    return draft.finish({x: (size, size)})


def made(model: Model | str, chip: str, residency: str, fusion: str = "none") -> Executable:
    return emu.compile(model, device=chip, residency=residency, fusion=fusion)


def never_over_capacity(program: Program, room: int) -> None:
    """Buffers of a launch and what is kept meanwhile fit a core; what is kept is used."""
    kept: dict[str, int] = {}
    for command in program.commands:
        if isinstance(command, Keep):
            kept[command.value] = command.size
        elif isinstance(command, Drop):
            del kept[command.value]
        elif isinstance(command, Launch):
            assert footprint_bytes(command.program) + sum(kept.values()) <= room
    assert not kept


@settings(deadline=None, max_examples=25)
@given(chains(), st.sampled_from(CHIPS[:3]))
def test_values_are_equal_and_bytes_and_time_never_more(model: Model, chip: str) -> None:
    on, off = made(model, chip, "on"), made(model, chip, "off")
    never_over_capacity(on.compiled.program, on.chip.machine.onchip_bytes)

    with_kept, without = Account(on.compiled), Account(off.compiled)
    assert with_kept.boundary == without.boundary
    assert with_kept.traffic.total <= without.traffic.total
    assert on.compiled.trace.total_ps <= off.compiled.trace.total_ps
    assert sum(on.compiled.trace.ledger.values()) == on.compiled.trace.total_ps
    assert on.compiled.program.peak_bytes <= off.compiled.program.peak_bytes

    runs = [e.run(seed=1, executor="tiles") for e in (on, off)]
    first, second = (run.outputs for run in runs)
    assert first is not None
    assert second is not None
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.parametrize("chip", ["systolic", "npu"])
def test_a_transformer_keeps_its_values_and_moves_fewer_bytes(chip: str) -> None:
    on, off = (made(tiny_transformer(), chip, r, "vertical") for r in ("on", "off"))
    kept, moved = on.compiled.trace.did, off.compiled.trace.did.traffic
    assert kept.kept_bytes > 0
    assert kept.traffic.intermediate < moved.intermediate
    assert kept.traffic.compulsory == moved.compulsory
    check = on.run().check
    assert check is not None
    assert check.ok


def test_what_does_not_fit_goes_through_device_memory_and_says_so() -> None:
    chip = "systolic"
    fact = "memory.onchip.capacity_kib"
    small, large = (
        emu.compile("mlp", settings={"batch": 64}, device=chip, facts=[f"{fact}={kib}"])
        for kib in (96, 24576)
    )
    kept: dict[str, list[bool]] = {}
    for name, executable in (("small", small), ("large", large)):
        machine = executable.chip.machine
        schedule = keep_on_chip(executable.compiled.schedule, machine)
        never_over_capacity(plan(schedule, machine), machine.onchip_bytes)
        told = [d for d in schedule.decisions if d.code == "residency:value"]
        kept[name] = [d.ok for d in told]
        assert all(d.ok or "on-chip memory is full" in d.why for d in told)
    assert all(kept["large"])
    assert not all(kept["small"])


def test_cores_without_a_network_keep_only_what_each_finds_in_its_own_scratchpad() -> None:
    off = made(tiny_transformer(), "npu", "off")
    apart = replace(off.chip.machine, network=False)
    schedule = keep_on_chip(off.compiled.schedule, apart)
    told = [d for d in schedule.decisions if d.code == "residency:value"]
    assert "its readers are on other cores: no network" in {d.why.partition(": ")[2] for d in told}
    views = [v for b in schedule.bindings if b.program for v in b.program.views if v.kept]
    assert all(view.own for view in views)


def test_weights_of_the_next_launch_are_loaded_while_a_kept_value_is_still_made() -> None:
    draft = Draft("two")
    x = draft.input("x", (2048, 512))
    for i in range(2):
        x = draft.node("MatMul", f"v{i}", x, draft.weight(f"w{i}", (512, 512), fan_in(512)))
    model = draft.finish({x: (2048, 512)})
    on = made(model, "systolic", "on")
    holds = on.chip.holds(on.compiled.program)

    def of(resource: str, index: int) -> list[tuple[int, int]]:
        return [(h.start_ps, h.end_ps) for h in holds if (h.resource, h.index) == (resource, index)]

    first_load = of("load", 1)[0][0]
    assert first_load == of("load", 0)[-1][1]  # the engine of device memory does not wait
    assert first_load < of("matrix unit", 0)[-1][1]
    assert of("load of kept", 1)[0][0] >= of("store of kept", 0)[-1][1]
    assert not of("load of kept", 0)


def test_a_gpu_keeps_nothing_between_launches() -> None:
    with pytest.raises(Unsupported, match="does not outlive a launch on gpu"):
        made("mlp", "gpu", "on")
    kept = made(tiny_transformer(), "systolic", "on").compiled.program
    with pytest.raises(Unsupported, match=r"gpu: value '.*': what is on chip does not outlive"):
        made("mlp", "gpu", "off").chip.simulate(kept)


def told(capsys: pytest.CaptureFixture[str], *flags: str) -> Mapping[str, object]:
    assert main(["run", "mlp", "--device", "npu", "--no-values", "--json", *flags]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_flag_is_in_the_stack_and_the_bytes_in_the_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    off, on = told(capsys), told(capsys, "--residency", "on")
    assert (off["kept_bytes"], on["boundary_bytes"]) == (0, off["boundary_bytes"])
    assert main(["run", "mlp", "--device", "npu", "--no-values", "--residency", "on"]) == 0
    assert "kept on chip" in capsys.readouterr().out
    assert main(["run", "mlp", "--residency", "maybe"]) == 2
    assert "'maybe'" in capsys.readouterr().err
