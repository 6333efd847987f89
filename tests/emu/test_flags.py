"""Flags as values: what a command shares with others, and stacks in one quoted text."""

import inspect
from pathlib import Path

import pytest

from emu.flags import LookFlags, ModelFlags, StackFlags, parse_request, spread
from emu.ir.errors import BadOption


def test_a_command_shows_a_flag_for_each_field_and_gets_values() -> None:
    @spread
    def command(model: str, stack: StackFlags, look: LookFlags) -> tuple[str, StackFlags]:
        assert not look.time_passes
        return model, stack

    shown = inspect.signature(command).parameters
    assert list(shown)[:4] == ["model", "device", "device_file", "set_device"]
    given = {name: p.default for name, p in shown.items()} | {"model": "mlp", "device": "npu"}
    assert command(**given) == ("mlp", StackFlags(device="npu"))


def test_a_quoted_text_names_a_model_and_replaces_slots() -> None:
    asked = parse_request("bert_layer --set seq=64 batch=2 -d systolic --fusion none")
    assert asked.model == "bert_layer"
    assert asked.shape == ModelFlags(more=["batch=2"], set_=["seq=64"])
    assert asked.stack == StackFlags(device="systolic", fusion="none")


def test_a_quoted_text_may_leave_the_model_to_others() -> None:
    asked = parse_request("--tuning-db 'my tiles.db' --tune-trials 8")
    assert asked.model == ""
    assert asked.stack == StackFlags(tuning_db=Path("my tiles.db"), tune_trials=8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--fusoin none", "--fusoin"),
        ("--tune-trials -1", "-1"),
        ("--device", "--device"),
        ("'", "No closing quotation"),
        ("--help", "--help"),
    ],
)
def test_a_text_that_is_no_stack_is_quoted_back(text: str, said: str) -> None:
    with pytest.raises(BadOption, match=said):
        parse_request(text)
