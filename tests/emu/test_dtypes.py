"""Whole models in every element type: values near those of f32, prices without a single weight."""

from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from emu.cli import main
from emu.devices.make import make_device
from emu.dtype import computes
from emu.files import write_arrays
from emu.ir.errors import BadOption, BadValues, UnknownName, Unsupported
from emu.ir.precision import DTYPES, PRECISION_PASSES, passes_of
from emu.ir.types import Array
from emu.models.inputs import random_inputs
from emu.pipeline import Executable, compile
from emu.run import Run
from tests.emu.cases import SCOPES, SETTINGS
from tests.emu.tiny import TINY

# Where each is tried: the chips that are priced fastest, and the only one that has f8.
NARROW = {"fp16": "gpu", "bf16": "systolic", "int8": "systolic", "fp8": "npu"}
HAS = {
    "gpu": ("fp32", "fp16", "bf16", "int8"),
    "systolic": ("fp32", "bf16", "int8"),
    "npu": ("fp32", "fp16", "bf16", "int8", "fp8"),
}


@lru_cache(maxsize=64)
def executable(model: str, dtype: str, device: str = "", fusion: str = "vertical") -> Executable:
    chip = device or NARROW.get(dtype, "gpu")
    return compile(TINY[model], device=chip, dtype=dtype, fusion=fusion)


def outputs(run: Run) -> dict[str, Array]:
    assert run.outputs is not None
    return dict(run.outputs)


@pytest.mark.parametrize("device", HAS)
def test_a_chip_computes_in_what_its_datasheet_has_rates_for(device: str) -> None:
    assert tuple(d for d in DTYPES if computes(make_device(device), d)) == HAS[device]


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        *product(TINY, ("fp16", "bf16", "int8")),
        *product(("attention", "conv_block", "transformer"), ("fp8",)),
    ],
)
def test_values_are_those_of_the_model_within_the_tolerance_of_the_dtype(
    model: str, dtype: str
) -> None:
    check = executable(model, dtype).run().check
    assert check is not None
    assert check.tolerance == DTYPES[dtype].tolerance
    assert check.ok, str(check)


@pytest.mark.parametrize(
    ("model", "dtype"), [("transformer", "fp16"), ("conv_block", "int8"), ("conv_block", "fp8")]
)
def test_tile_programs_compute_what_whole_groups_do(model: str, dtype: str) -> None:
    made = executable(model, dtype)
    fast, literal = (outputs(made.run(check=False, executor=e)) for e in ("fast", "tiles"))
    assert_close(fast, literal, dtype)


@pytest.mark.parametrize("dtype", ["fp16", "int8"])
@pytest.mark.parametrize("fusion", SCOPES)
def test_every_scope_computes_equal_values(fusion: str, dtype: str) -> None:
    first = outputs(executable("attention", dtype, "gpu").run(check=False))
    found = outputs(executable("attention", dtype, "gpu", fusion).run(check=False))
    assert_close(first, found, dtype)


def assert_close(wanted: dict[str, Array], found: dict[str, Array], dtype: str) -> None:
    """Sums in another order may round to a neighbour, and that may round on."""
    for name, want in wanted.items():
        limit = DTYPES[dtype].tolerance / 2 * float(np.abs(want).max())
        np.testing.assert_allclose(found[name], want, rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", NARROW)
def test_a_price_needs_no_weight_and_no_calibration(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("values were computed")

    monkeypatch.setattr("emu.executing.calibrate.fast_op", never)
    monkeypatch.setattr("emu.models.zoo.draft.Draft.weight", never)
    run = compile(TINY["conv_block"], device=NARROW[dtype], dtype=dtype).run(values=False)
    assert run.compiled.trace.total_ps > 0


@pytest.mark.parametrize("dtype", ["int8", "fp8"])
def test_the_same_seeds_give_the_same_scales_and_values(dtype: str) -> None:
    first, second = (
        outputs(compile(TINY["conv_block"], device=NARROW[dtype], dtype=dtype).run(check=False))
        for _ in range(2)
    )
    assert {name: a.tobytes() for name, a in first.items()} == {
        name: a.tobytes() for name, a in second.items()
    }


def test_calibration_inputs_decide_the_scales() -> None:
    inputs = random_inputs(executable("conv_block", "int8").compiled.graph, 5)
    wide = {name: array * np.float32(50) for name, array in inputs.items()}
    errors: list[float] = []
    for calibration in (inputs, wide):
        made = compile(TINY["conv_block"], dtype="int8", calibration=calibration)
        check = made.run(inputs).check
        assert check is not None
        errors.append(check.max_rel_error)
    assert errors[1] > 5 * errors[0]  # scales that are 50 times too coarse


def test_narrow_numbers_move_fewer_bytes_and_take_less_energy() -> None:
    traces = {d: executable("unet", d).compiled.trace for d in ("fp32", "bf16", "int8")}
    moved = {d: trace.did.traffic.total for d, trace in traces.items()}
    assert moved["bf16"] < 0.75 * moved["fp32"]
    assert traces["fp32"].did.narrow == {}
    assert set(traces["bf16"].did.narrow) == {"bf16"}
    assert set(traces["int8"].did.narrow) == {"i8"}


def test_the_passes_of_a_dtype_are_those_that_can_be_watched() -> None:
    made = {d: tuple(passes_of(d, lambda graph, names: {})) for d in DTYPES}
    assert made["fp32"] == ()
    assert made["fp16"] == made["bf16"] == PRECISION_PASSES[-1:]
    assert made["int8"] == PRECISION_PASSES[:2]
    assert made["fp8"] == PRECISION_PASSES


def test_a_dtype_that_the_chip_lacks_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(Unsupported, match="'gpu' does not compute in fp8; it has fp32, fp16, bf16"):
        compile(TINY["conv_block"], device="gpu", dtype="fp8")


def test_an_unknown_dtype_gets_a_suggestion() -> None:
    with pytest.raises(UnknownName, match=r"unknown dtype 'fp61'; did you mean 'fp16'\?"):
        compile(TINY["conv_block"], dtype="fp61")


def test_calibration_inputs_go_with_dtypes_of_eight_bits_only() -> None:
    with pytest.raises(BadOption, match="calibration inputs go with int8 and fp8, not with bf16"):
        compile(TINY["conv_block"], dtype="bf16", calibration={})
    with pytest.raises(BadValues, match="input 'x' of conv_block has no value"):
        compile(TINY["conv_block"], dtype="int8", calibration={})


def test_the_command_says_the_dtype_the_error_and_the_tolerance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "diamond", "--dtype", "bf16"]) == 0
    said = capsys.readouterr().out
    assert "diamond on gpu, fusion vertical, kernels deep, bf16" in said
    assert f"as onnxruntime within {DTYPES['bf16'].tolerance:.0e}: error" in said


def test_the_command_takes_calibration_inputs_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = compile("diamond", settings=SETTINGS["diamond"]).compiled.graph
    write_arrays(tmp_path / "in.npz", random_inputs(graph, 3))
    flags = ["run", "diamond", "--dtype", "int8", "--calibration"]
    assert main([*flags, str(tmp_path / "in.npz")]) == 0
    assert main([*flags, str(tmp_path / "absent.npz")]) == 2
    assert "--calibration" in capsys.readouterr().err
