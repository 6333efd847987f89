"""Every picosecond has one cause, and the sums are exact in every direction."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.account import Account
from emu.ir.trace import CAUSES
from tests.emu.cases import DEVICES, SCOPES, compiled

MODELS = ("conv_block", "diamond", "mlp", "attention", "bert_layer", "gpt2", "unet")


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
    assert all(0 <= launch.start_ps <= launch.end_ps <= trace.total_ps for launch in trace.launches)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", MODELS)
def test_a_launch_is_charged_by_nodes_that_it_has_and_in_causes_that_exist(
    model: str, device: str
) -> None:
    made = compiled(model, device, "vertical").compiled

    for launch in made.trace.launches:
        nodes = len(made.schedule.bindings[launch.index].body.nodes)
        assert all(0 <= node < nodes for node, _ in launch.charges)
        assert {cause for _, cause in launch.charges} <= set(CAUSES)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=15, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    free=st.frozensets(st.sampled_from(CAUSES)),
    more=st.sampled_from(CAUSES),
)
def test_what_if_causes_took_no_time(
    device: str, model: str, free: frozenset[str], more: str
) -> None:
    made = compiled(model, device, "vertical")

    trace = made.chip.simulate(made.compiled.program, free)
    freer = made.chip.simulate(made.compiled.program, free | {more})

    assert freer.total_ps <= trace.total_ps <= made.compiled.trace.total_ps
    assert sum(trace.ledger.values()) == trace.total_ps
    assert all(trace.ledger[cause] == 0 for cause in free)


@pytest.mark.parametrize("device", DEVICES)
def test_what_if_nothing_took_time(device: str) -> None:
    made = compiled("bert_layer", device, "vertical")

    assert made.chip.simulate(made.compiled.program, frozenset(CAUSES)).total_ps == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", MODELS)
def test_a_larger_scope_is_never_slower(model: str, device: str) -> None:
    vertical, whole = (compiled(model, device, f).compiled.trace for f in ("vertical", "global"))

    assert whole.total_ps <= vertical.total_ps
