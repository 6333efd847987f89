"""Every picosecond has one cause, and the sums are exact in every direction."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.account import Account
from emu.ir.trace import CAUSES
from tests.emu.cases import DEVICES, SCOPES, compiled

MODELS = ("conv_block", "diamond", "mlp", "attention", "bert_layer", "gpt2")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fusion", SCOPES)
def test_causes_groups_and_source_nodes_sum_to_the_latency(
    model: str, device: str, fusion: str
) -> None:
    made = compiled(model, device, fusion).compiled
    account, trace = Account(made), made.trace

    assert tuple(trace.ledger) == CAUSES
    assert sum(trace.ledger.values()) == trace.total_ps
    assert sum(group.ps for group in account.groups) == trace.total_ps
    assert sum(account.per_source.values()) == trace.total_ps
    assert min(trace.ledger.values()) >= 0
    assert {s for node in made.graph.nodes for s in node.source} <= set(account.per_source)
    assert all(launch.start_ps <= launch.end_ps <= trace.total_ps for launch in trace.launches)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=15, deadline=None)
@given(model=st.sampled_from(MODELS), free=st.frozensets(st.sampled_from(CAUSES)))
def test_what_if_a_cause_took_no_time(device: str, model: str, free: frozenset[str]) -> None:
    made = compiled(model, device, "vertical")

    trace = made.chip.simulate(made.compiled.program, free)

    assert trace.total_ps <= made.compiled.trace.total_ps
    assert sum(trace.ledger.values()) == trace.total_ps
    assert all(trace.ledger[cause] == 0 for cause in free)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", [*MODELS, "unet"])
def test_a_larger_scope_is_never_slower(model: str, device: str) -> None:
    vertical, whole = (compiled(model, device, f).compiled.trace for f in ("vertical", "global"))

    assert whole.total_ps <= vertical.total_ps
    assert whole.did.traffic.total <= vertical.did.traffic.total
