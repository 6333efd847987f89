"""`emu swap`, `lockin`, `readiness`, `show-stack`, `run --stack` and lists, as users call them."""

import json
from pathlib import Path
from typing import Any

import pytest

from emu.cli import main

Capture = pytest.CaptureFixture[str]
CELL = {
    "schema",
    "stack",
    "replace",
    "outcome",
    "ratio",
    "error",
    "cofactors",
    "blocking",
    "lockin_types",
    "model",
    "checked",
}


def printed(capsys: Capture, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def as_json(capsys: Capture, *arguments: str) -> dict[str, Any]:
    return json.loads(printed(capsys, *arguments, "--json"))


def swap(capsys: Capture, stack: str, *replaced: str) -> dict[str, Any]:
    flags = [flag for text in replaced for flag in ("--replace", text)]
    return as_json(capsys, "swap", stack, *flags, "--model", "mlp")


def test_a_swap_prints_the_class_the_times_and_the_gap_by_cause(capsys: Capture) -> None:
    text = printed(capsys, "swap", "cuda-like", "--replace", "kernels=cublas-like", "-m", "mlp")
    assert "with kernels = cublas-like: slower" in text
    assert "| all " in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_the_json_of_a_swap_has_stable_keys(capsys: Capture) -> None:
    found = swap(capsys, "cuda-like", "driver=hip-runtime-like+amdgpu-like")
    assert found.keys() == CELL
    assert (found["schema"], found["outcome"], found["ratio"]) == ("emu.swap/1", "blocked", None)
    assert found["error"].keys() == {"contract", "name", "stage", "have", "need"}
    assert (found["error"]["contract"], found["error"]["stage"]) == ("K7", "bind")
    assert ["K7"] in found["blocking"]
    assert found["checked"] == "unchecked"


def test_values_of_both_stacks_are_compared(capsys: Capture) -> None:
    flags = ("--replace", "kernels=cublas-like", "-m", "mlp", "--values")
    assert as_json(capsys, "swap", "cuda-like", *flags)["checked"] == "checked"


def test_several_slots_are_replaced_at_once(capsys: Capture) -> None:
    found = swap(
        capsys,
        "cuda-like",
        "device=mi300x-like",
        "driver=hip-runtime-like+amdgpu-like",
        "kernels=miopen-like",
        "orchestrator=watch-rocm-like",
    )
    assert found["outcome"] in ("free", "slower")
    assert len(found["replace"]) == 4


def test_a_library_of_a_bundle_that_launches_nothing_is_named(capsys: Capture) -> None:
    slots = (
        *("--replace", "device=mi300x-like", "--replace", "kernels=miopen-like+rocblas-like"),
        *("--replace", "driver=hip-runtime-like+amdgpu-like"),
        *("--replace", "orchestrator=watch-rocm-like"),
    )
    text = printed(capsys, "swap", "cuda-like", *slots, "-m", "mlp")
    assert "vacuous: it runs, but not all that was put in is called" in text
    assert "never called  rocblas-like" in text


def test_a_static_compiler_refuses_a_symbolic_batch(capsys: Capture) -> None:
    flags = ("--replace", "compiler=rbln-compiler-like", "-m", "mlp", "--symbolic-batch")
    text = printed(capsys, "swap", "cuda-like", *flags)
    assert "DynamicShape" in text


def test_a_whole_capture_refuses_a_read_in_the_middle(capsys: Capture) -> None:
    flags = ("--replace", "front_end=jax-like", "-m", "mlp", "--host-read")
    assert "GraphBreak" in printed(capsys, "swap", "cuda-like", *flags)


BAD = [
    (("swap", "cuda-lik", "--replace", "driver=x"), "did you mean 'cuda-like'?"),
    (("swap", "cuda-like"), "--replace SLOT=NAME is missing"),
    (("swap", "cuda-like", "--replace", ""), "write SLOT=NAME"),
    (("swap", "cuda-like", "--replace", "driver"), "write SLOT=NAME"),
    (("swap", "cuda-like", "--replace", "drive=x"), "did you mean 'driver'?"),
    (("swap", "cuda-like", "--replace", "device=mi300-like"), "did you mean 'mi300x-like'?"),
    (("swap", "cuda-like", "--replace", "device=h100-like"), "it stands there already"),
    (
        ("swap", "cuda-like", "--replace", "device=b200-like", "--replace", "device=a100-like"),
        "device is replaced twice",
    ),
    (
        ("swap", "cuda-like", "--replace", "device=b200-like", "--keep", "chip", "-m", "mlp"),
        "unknown slot 'chip'",
    ),
    (("lockin", "no-such"), "no-such"),
    (("lockin", "--cost"), "--cost: say which stack is left"),
    (("lockin", "cuda-like", "--dot", "no/such/folder.dot"), "its folder does not exist"),
    (("lockin", "cuda-like", "--cost", "--dot", "x.dot"), "--dot x.dot: does not go with --cost"),
    (("readiness", "rbln-like", "--floor", "3"), "No such option: --floor"),
    (
        ("swap", "cuda-like", "--replace", "device=b200-like+a100-like"),
        "device holds one part, not 2; several go into kernels and driver only",
    ),
    (
        ("swap", "cuda-like", "--replace", "kernels=cublas-like+cublas-like"),
        "kernels=cublas-like+cublas-like: kernels holds a part twice",
    ),
    (("readiness", "cuda-like"), "a stack is not measured against itself"),
    (("readiness", "rbln-lik"), "did you mean 'rbln-like'?"),
    (("show-stack", "rbln-lik"), "did you mean 'rbln-like'?"),
    (("run", "mlp", "--stack", "rbln-lik", "--no-values"), "did you mean 'rbln-like'?"),
    (
        ("run", "mlp", "--stack", "rbln-like", "--no-values", "--array-model", "native"),
        "--array-model: does not go with --stack",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_input_is_one_line_that_says_what_is_near(
    capsys: Capture, arguments: tuple[str, ...], said: str
) -> None:
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_stack_is_shown_with_its_facts(capsys: Capture) -> None:
    text = printed(capsys, "show-stack", "furiosa-like")
    assert "assumed" in text
    assert "sourced" in text
    assert as_json(capsys, "show-stack", "furiosa-like")["device"] == ["rngd-like"]


def test_stacks_and_slots_are_listed(capsys: Capture) -> None:
    stacks = [item["name"] for item in as_json(capsys, "list", "stacks")["items"]]
    assert len(stacks) == 11
    assert all(name.endswith("-like") for name in stacks)
    slots = [item["name"] for item in as_json(capsys, "list", "slots")["items"]]
    assert slots == ["front_end", "compiler", "kernels", "driver", "device", "orchestrator"]


def test_a_model_runs_on_a_stack_and_flags_override_it(capsys: Capture) -> None:
    native = as_json(capsys, "run", "mlp", "--stack", "cuda-like", "--no-values")
    other = as_json(
        capsys, "run", "mlp", "--stack", "cuda-like", "--kernels", "reference", "--no-values"
    )
    assert native["latency_ps"] < other["latency_ps"]


def test_the_matrix_of_a_stack_has_a_cell_for_each_alternative(
    capsys: Capture, tmp_path: Path
) -> None:
    dot = tmp_path / "stack.dot"
    found = as_json(capsys, "lockin", "rocm-like", "-m", "mlp", "--dot", str(dot))
    assert found.keys() == {"schema", "stack", "cells"}
    assert all(cell.keys() == CELL for cell in found["cells"])
    assert {slot for cell in found["cells"] for slot in cell["replace"]} == {
        "front_end",
        "compiler",
        "kernels",
        "driver",
        "device",
        "orchestrator",
    }
    text = dot.read_text()
    assert text.startswith("digraph lockin {")
    assert '"rocm-like" -> ' in text
