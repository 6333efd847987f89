"""A cause that takes no time: what the run gains, beside what the ledger charges to it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cli import main
from emu.free import NOT_FREE, Freed, free, freed_json, freed_report, parse_causes
from emu.ir.errors import BadOption, UnknownName
from emu.ir.program import HostCall
from emu.ir.trace import CAUSES
from emu.models.model import Model
from emu.pipeline import compile
from tests.emu.cases import DEVICES, SCOPES, compiled
from tests.emu.random_models import chains

FREE = tuple(cause for cause in CAUSES if cause != NOT_FREE)
SETS = st.lists(st.sampled_from(FREE), min_size=1, max_size=4, unique=True).map(tuple)


def freed(model: str, device: str, fusion: str, *causes: str) -> Freed:
    made = compiled(model, device, fusion)
    return free(made.compiled, made.chip, causes)


def check(found: Freed) -> None:
    """What holds for any program and any causes."""
    assert 0 <= found.saved_ps
    assert sum(found.after.ledger.values()) == found.after.total_ps
    assert all(found.after.ledger[cause] == 0 for cause in found.causes)
    exposed = sum(found.exposed.values())
    assert found.saved_ps == found.ledger_ps - exposed


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=12, deadline=None)
@given(
    model=st.sampled_from(("conv_block", "mlp", "attention")),
    fusion=st.sampled_from(SCOPES),
    causes=SETS,
)
def test_freeing_never_makes_a_run_slower(
    device: str, model: str, fusion: str, causes: tuple[str, ...]
) -> None:
    check(freed(model, device, fusion, *causes))


@settings(max_examples=12, deadline=None)
@given(model=chains(), device=st.sampled_from(DEVICES), causes=SETS)
def test_freeing_never_makes_a_random_model_slower(
    model: Model, device: str, causes: tuple[str, ...]
) -> None:
    made = compile(model, device=device)
    check(free(made.compiled, made.chip, causes))


@pytest.mark.parametrize("array_model", ["scalesim-ws", "scalesim-is", "scalesim-os", "onnxim-ws"])
@pytest.mark.parametrize("cause", FREE)
def test_freeing_never_makes_a_run_slower_under_any_array_model(
    cause: str, array_model: str
) -> None:
    made = compile("mlp", device="systolic", array_model=array_model)
    check(free(made.compiled, made.chip, (cause,)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("cause", FREE)
def test_every_cause_that_is_charged_somewhere_can_be_masked(cause: str, device: str) -> None:
    for model, fusion in (("conv_block", "none"), ("bert_layer", "vertical"), ("gpt2", "global")):
        found = freed(model, device, fusion, cause)
        check(found)
        assert found.ledger_ps or cause in ("recompute", "link", "host") or not found.exposed


@pytest.mark.parametrize("device", DEVICES)
def test_free_launches_save_at_least_what_is_not_hidden(device: str) -> None:
    found = freed("mlp", device, "none", "launch")

    assert found.ledger_ps > 0
    assert 0 < found.saved_ps <= found.ledger_ps


def test_a_masked_memory_term_exposes_the_compute_under_it() -> None:
    found = freed("bert_layer", "gpu", "vertical", "compulsory", "intermediate", "reload")

    assert found.saved_ps < found.ledger_ps
    assert found.exposed["useful"] > 0


def test_all_but_waiting_free_leaves_only_waits() -> None:
    found = freed("mlp", "gpu", "vertical", *FREE)

    assert found.after.total_ps == found.after.ledger[NOT_FREE] > 0


def test_the_program_stays_as_it_was_compiled() -> None:
    made = compiled("mlp", "gpu", "vertical")
    cores = [launch.did.cores for launch in made.compiled.trace.launches]
    found = free(made.compiled, made.chip, FREE)

    assert [launch.did.cores for launch in found.after.launches] == cores
    assert not any(isinstance(c, HostCall) for c in made.compiled.program.commands)


def test_causes_are_named_with_commas_in_any_order() -> None:
    assert parse_causes("launch, useful,launch") == ("useful", "launch")


def test_a_wait_cannot_be_freed_and_says_why() -> None:
    with pytest.raises(BadOption, match=r"a wait is no work .* free what is waited for"):
        parse_causes("launch,wait")


def test_no_cause_and_an_unknown_one_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'launch'"):
        parse_causes("lunch")
    with pytest.raises(BadOption, match="write causes"):
        parse_causes(" , ")


def test_the_words_say_both_figures_and_what_was_exposed() -> None:
    found = freed("bert_layer", "gpu", "vertical", "intermediate", "launch")
    text = freed_report(found)

    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    assert f"ledger says intermediate + launch {found.ledger_ps / 1e6:,.3f} us" in said
    assert f"freeing it saves {found.saved_ps / 1e6:,.3f} us" in said
    assert "| other cause" in text


def test_the_json_tells_the_same_and_sums_up() -> None:
    told = freed_json(freed("mlp", "npu", "none", "launch"))

    assert told["causes"] == ["launch"]
    assert sum(told["ledger"].values()) == told["latency_ps"]
    assert told["ledger"]["launch"] == 0


def test_run_tells_what_a_free_cause_would_save(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "mlp", "--no-values", "--free", "launch"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["latency_ps"] - found["free"]["latency_ps"] == found["free"]["saved_ps"]
    assert main(words) == 0
    assert "ledger says launch" in capsys.readouterr().out


def test_a_run_that_frees_nothing_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "mlp", "--no-values", "--json"]) == 0
    assert "free" not in json.loads(capsys.readouterr().out)


def test_a_wait_is_refused_before_anything_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "mlp", "--free", "wait"]) == 2
    assert capsys.readouterr().out == ""
