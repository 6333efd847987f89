"""What does not fit is refused, or priced over capacity and said so in every output."""

import json

import pytest

from emu.cli import main
from emu.ir.errors import BadOption, CapacityError
from emu.models.zoo import build
from emu.pipeline import compile
from emu.report import report

# The sizes of Llama 3 70B (Grattafiori et al. 2024), one token behind 4096.
LARGE = {
    **{"layers": 80, "hidden": 8192, "heads": 64, "kv_heads": 8, "vocab": 128256},
    **{"seq": 1, "batch": 1, "past": 4096},
}
WIDE = {**LARGE, "layers": 10}
SAID = "does not fit: needs"


def flags(settings: dict[str, int]) -> list[str]:
    pairs = [f"{key}={number}" for key, number in settings.items()]
    return ["decoder", "--no-values", "--set", *pairs]


def test_seventy_billion_parameters_are_described_by_shapes_alone() -> None:
    assert build("decoder", LARGE).weight_bytes / 4e9 == pytest.approx(70.6, abs=0.1)


def test_a_decoder_over_the_memory_of_the_device_is_refused() -> None:
    with pytest.raises(CapacityError, match="decoder does not fit gpu"):
        compile("decoder", settings=WIDE)


def test_a_decoder_is_priced_over_capacity_if_asked_for() -> None:
    run = compile("decoder", settings=WIDE, over_capacity=True).run(values=False)
    assert SAID in report(run)
    weights_ps = run.compiled.model.weight_bytes / run.compiled.trace.total_ps
    assert weights_ps > 0


def test_every_output_says_that_it_is_over_capacity(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *flags(WIDE), "--over-capacity", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)["over_capacity"]
    assert found["needed_bytes"] > found["device_bytes"]
    assert SAID in said.err
    ladder = ["ladder", *flags(WIDE), "--over-capacity", "-f", "vertical", "-k", "deep"]
    assert main([*ladder, "--json"]) == 0
    assert SAID in json.loads(capsys.readouterr().out)["over_capacity"][0]["over_capacity"]
    assert main([*ladder, "--csv", "-"]) == 0
    assert SAID in capsys.readouterr().out


def test_what_fits_says_nothing_of_capacity(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "mlp", "--no-values", "--over-capacity", "--json"]) == 0
    assert "over_capacity" not in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("wrong", [{"hidden": 100}, {"heads": 3}, {"kv_heads": 3}])
def test_heads_that_do_not_divide_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadOption, match="settings hidden="):
        build("decoder", wrong)
