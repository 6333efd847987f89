"""Without a compiler that generates kernels, what the library does not claim goes to the host."""

import pytest

from emu.pipeline import Executable, compile
from tests.emu.cases import SETTINGS, compiled
from tests.emu.tiny import TINY


def on_host(model: str, device: str, kernels: str, fusion: str = "vertical") -> Executable:
    """A small form of a zoo model whose unclaimed groups the host computes."""
    return compile(
        model,
        device=device,
        fusion=fusion,
        kernels=kernels,
        fallback="host",
        settings=SETTINGS[model],
    )


def test_a_group_that_no_kernel_claims_is_neither_split_nor_generated() -> None:
    split = compiled("bert_layer", "systolic", "vertical", "deep").compiled.schedule.bindings
    made = on_host("bert_layer", "systolic", "deep").compiled.schedule

    hosted = [b for b in made.bindings if b.coverage == "host"]
    assert {b.coverage for b in split} == {"native", "generated"}
    assert {b.coverage for b in made.bindings} == {"native", "host"}
    generated = {b.group.nodes for b in split if b.coverage == "generated"}
    assert {b.group.nodes for b in hosted} == generated
    assert all(b.program is None and "deep has no kernel" in b.why for b in hosted)


def test_what_is_composed_sends_only_nodes_to_the_host_that_no_kernel_takes() -> None:
    """The generic NPU has no erf: of the group around it, all else stays on the device."""
    settings = SETTINGS["bert_layer"]
    found = compile("bert_layer", device="npu", fallback="composed", settings=settings).compiled

    ops = [n.op for b in found.schedule.bindings if b.coverage == "host" for n in b.body.nodes]
    assert ops == ["Erf"]
    assert {b.coverage for b in found.schedule.bindings} == {"native", "composed", "host"}
    whole = on_host("bert_layer", "npu", "deep").compiled.schedule
    assert sum(len(b.body.nodes) for b in whole.bindings if b.coverage == "host") > len(ops)


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_the_host_is_seen_in_the_link_the_ledger_and_the_values(device: str) -> None:
    made = compile(TINY["transformer"], device=device, kernels="basic", fallback="host")
    run = made.run()

    trace = made.compiled.trace
    assert trace.ledger["link"] > 0
    assert trace.ledger["host"] > 0
    copied = {"host": 0, "native": 0}
    for binding, launched in zip(made.compiled.schedule.bindings, trace.launches, strict=True):
        copied[binding.coverage] += launched.did.link_bytes
    assert copied["native"] == 0
    assert copied["host"] > 0
    assert run.check is not None
    assert run.check.ok


def test_where_the_library_claims_every_group_nothing_goes_to_the_host() -> None:
    plain = compiled("conv_block", "gpu", "none", "reference").compiled

    assert on_host("conv_block", "gpu", "reference", "none").compiled.container == plain.container


@pytest.mark.parametrize("device", ["gpu", "systolic"])
def test_a_large_scope_over_a_shallow_library_is_ten_times_slower_with_the_host(
    device: str,
) -> None:
    best = compile("bert_layer", device=device, kernels="deep").compiled.trace
    worst = compile("bert_layer", device=device, kernels="reference", fallback="host").compiled
    generated = compile("bert_layer", device=device, kernels="reference").compiled.trace

    assert worst.trace.total_ps > 10 * best.total_ps
    assert generated.total_ps < 4 * best.total_ps
    ledger = worst.trace.ledger
    assert ledger["host"] + ledger["link"] > worst.trace.total_ps // 2
