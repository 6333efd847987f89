"""What a run may take at most is known before it takes it."""

from pathlib import Path

import numpy as np
import pytest

import emu
from emu.ir.errors import BadValues, ModelError, OverLimit
from emu.models.limits import Limits
from emu.models.model import Model
from tests.models.small_models import ints, node, proto, saved, unshaped, value


def product(folder: Path) -> Path:
    """A matrix product of 2 * 8 * 8 * 8 operations, and a sum of 64."""
    nodes = [
        node("MatMul", ["x", "x"], "a", name="product"),
        node("Add", ["a", "x"], "y", name="sum"),
    ]
    return saved(folder / "m.onnx", proto(nodes, [value("x", [8, 8])], [unshaped("y")]))


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(operations=1023), r"node 'product' \(MatMul\): takes 1,024 operations"),
        (Limits(operations=1087), r"node 'sum' .* 64 operations, 1,088 with those before it"),
        (Limits(memory_bytes=511), r"node 'product' \(MatMul\): takes 512 bytes at once"),
        (Limits(memory_bytes=255), "m: inputs x: has 256 bytes"),
    ],
)
def test_a_run_that_would_take_too_much_is_refused_with_the_node(
    tmp_path: Path, limits: Limits, why: str
) -> None:
    executable = emu.compile(product(tmp_path), limits=limits, fusion="none")
    for _ in range(2):
        with pytest.raises(OverLimit, match=why):
            executable.run()
    assert executable.run(values=False).outputs is None


def test_a_run_within_its_limits_is_run(tmp_path: Path) -> None:
    limits = Limits(operations=1088, memory_bytes=768)
    assert emu.compile(product(tmp_path), limits=limits).run().outputs is not None


def test_what_a_run_may_take_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = emu.compile(product(tmp_path))
    assert executable.run(check=False).outputs is not None
    monkeypatch.setattr(emu.pipeline, "check_run", None)
    assert executable.run(check=False).outputs is not None


def test_a_model_of_emu_itself_is_not_limited() -> None:
    assert isinstance((model := emu.compile("diamond").compiled.model), Model)
    assert model.limits.operations > 10**18


def test_numbers_that_cannot_be_computed_with_are_told_with_the_place(tmp_path: Path) -> None:
    powers = node("Pow", ["x", "x"], "y", name="power")
    model = proto([powers], [value("x", [4], "i64")], [unshaped("y", "i64")])
    executable = emu.compile(saved(tmp_path / "m.onnx", model))
    with pytest.raises(
        ModelError, match=r"launch of .* for value y: cannot be computed: ValueError"
    ):
        executable.run({"x": np.array([1, 2, -1, -2])})


def test_an_index_out_of_range_is_told_with_the_place(tmp_path: Path) -> None:
    nodes = [node("Gather", ["x", "at"], "y", name="pick")]
    model = proto(nodes, [value("x", [4, 4])], [unshaped("y")], {"at": ints(99)})
    executable = emu.compile(saved(tmp_path / "m.onnx", model))
    with pytest.raises(BadValues, match=r"launch of .* for value y: index 99"):
        executable.run()
