"""Who computes a group: a library, the generator, several kernels, or the host."""

import numpy as np
import pytest

from emu.ir.schedule import Binding
from emu.pipeline import compile
from tests.emu.cases import compiled
from tests.emu.tiny import TINY


def bindings(model: str, device: str, fusion: str, kernels: str) -> tuple[Binding, ...]:
    return compiled(model, device, fusion, kernels).compiled.schedule.bindings


def test_a_shallow_library_splits_a_group_that_it_has_no_kernel_for() -> None:
    shallow = bindings("conv_block", "gpu", "vertical", "basic")
    deep = bindings("conv_block", "gpu", "vertical", "deep")

    assert {b.coverage for b in deep} == {"native"}
    assert {b.coverage for b in shallow} == {"composed"}
    assert len(shallow) > len(deep)
    decisions = compiled("conv_block", "gpu", "vertical", "basic").compiled.schedule.decisions
    assert any(d.code == "select:split" and "basic has no kernel" in d.why for d in decisions)


def test_what_no_library_claims_is_generated_unless_there_is_a_product_in_it() -> None:
    made = bindings("bert_layer", "systolic", "vertical", "deep")

    generated = [b for b in made if b.coverage == "generated"]
    assert generated
    assert all(b.kernel == "generated.loops" for b in generated)


def test_an_op_that_the_device_refuses_goes_over_the_link_to_the_host() -> None:
    made = compiled("bert_layer", "npu", "vertical")
    run = made.run()

    on_host = [b for b in made.compiled.schedule.bindings if b.coverage == "host"]
    assert [b.body.nodes[0].op for b in on_host] == ["Erf"]
    assert "npu refuses it: Erf" in on_host[0].why
    ledger = made.compiled.trace.ledger
    assert ledger["link"] > 0
    assert ledger["host"] > 0
    assert run.check is not None
    assert run.check.ok


def test_rows_of_a_table_are_gathered_by_the_host_where_the_device_cannot() -> None:
    made = compile(TINY["transformer"], device="npu", fusion="global")
    run = made.run()

    on_host = [b for b in made.compiled.schedule.bindings if b.coverage == "host"]
    assert [b.body.nodes[0].op for b in on_host] == ["Gather", "Erf"]
    assert all(b.program is None for b in on_host)
    assert made.compiled.trace.did.link_bytes > 0
    for binding, launched in zip(
        made.compiled.schedule.bindings, made.compiled.trace.launches, strict=True
    ):
        assert (launched.did.link_bytes > 0) is (binding.coverage == "host")
    assert run.check is not None
    assert run.check.ok


@pytest.mark.parametrize("device", ["gpu", "systolic"])
def test_nothing_goes_to_the_host_where_the_device_computes_everything(device: str) -> None:
    made = compile(TINY["transformer"], device=device, fusion="global").compiled

    assert {b.coverage for b in made.schedule.bindings} <= {"native", "generated", "composed"}
    assert made.trace.ledger["host"] == 0


def test_every_binding_says_who_claimed_it_and_every_split_why() -> None:
    made = compiled("conv_block", "systolic", "vertical", "reference").compiled

    for binding in made.schedule.bindings:
        assert binding.why == f"claimed by {binding.kernel}"
    splits = [d for d in made.schedule.decisions if d.code == "select:split"]
    assert splits
    for split in splits:
        assert "product: takes one op, not" in split.why
        assert "op: takes one op, not" in split.why


def test_the_parts_of_a_split_group_are_its_nodes_in_order() -> None:
    made = compiled("conv_block", "systolic", "vertical", "basic").compiled

    parts = [n for b in made.schedule.bindings for n in b.group.nodes]
    assert parts == [n for group in made.fused.groups for n in group.nodes]


@pytest.mark.parametrize("kernels", ["reference", "basic", "deep", "generated"])
@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_values_are_right_with_every_library_on_every_device(kernels: str, device: str) -> None:
    run = compiled("conv_block", device, "vertical", kernels).run()

    assert run.check is not None
    assert run.check.ok


def test_a_deeper_library_is_never_slower_on_a_gpu() -> None:
    latencies = [
        compiled("conv_block", "gpu", "none", kernels).compiled.trace.total_ps
        for kernels in ("reference", "basic", "deep")
    ]

    assert latencies == sorted(latencies, reverse=True)


def test_two_compilations_give_the_same_binary_and_picoseconds() -> None:
    first = compile("mlp", device="npu", fusion="global").compiled
    second = compile("mlp", device="npu", fusion="global").compiled

    assert first.container == second.container
    assert first.trace == second.trace
    assert first.schedule.decisions == second.schedule.decisions
    outputs = [compile("mlp", device="npu").run(seed=3).outputs for _ in range(2)]
    assert outputs[0] is not None
    assert outputs[1] is not None
    for name, array in outputs[0].items():
        assert np.array_equal(array, outputs[1][name])
