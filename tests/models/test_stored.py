"""Weights in files of their own: inside the model's folder, and nowhere else."""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto

from emu.ir.errors import ModelError
from emu.models.reader import read_model
from emu.models.tensors import mark_external
from tests.models.small_models import node, opened, proto, real, saved, unshaped, value

WEIGHT = real(8, 8)


def with_weight() -> ModelProto:
    nodes = [node("MatMul", ["x", "w"], "y")]
    return proto(nodes, [value("x", [2, 8])], [unshaped("y")], {"w": WEIGHT})


def with_external(folder: Path, location: str, **entries: int) -> Path:
    """A model whose weight ``w`` lies at ``location``; the file weights.bin exists."""
    (folder / "weights.bin").write_bytes(b"\0" * 16 + WEIGHT.tobytes())
    model = with_weight()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    offset, length = entries.get("offset", 16), entries.get("length", WEIGHT.nbytes)
    mark_external(tensor, location, offset, length)
    return saved(folder / "external.onnx", model)


def test_a_large_weight_is_mapped_from_its_file(tmp_path: Path) -> None:
    size = 64 << 20
    with (tmp_path / "weights.bin").open("wb") as file:
        file.truncate(size)
    tensor = TensorProto(name="w", dims=[size // 32, 8], data_type=TensorProto.FLOAT)
    mark_external(tensor, "weights.bin", 0, size)
    model = with_weight()
    model.graph.initializer[0].CopyFrom(tensor)
    weight = opened(tmp_path, model).weights["w"].load()
    assert isinstance(weight.base, np.memmap)
    assert not weight.flags.writeable


def test_external_weights_are_read_from_the_folder_of_the_model(tmp_path: Path) -> None:
    model = read_model(with_external(tmp_path, "weights.bin"))
    np.testing.assert_array_equal(model.weights["w"].load(), WEIGHT)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("../weights.bin", "outside the model's folder"),
        ("/etc/passwd", "not a path in the folder"),
        ("link.bin", "outside the model's folder"),
        ("sub/../../weights.bin", "outside the model's folder"),
        ("missing.bin", "does not exist"),
        ("", "not a path in the folder"),
        (".", "is not a file"),
        ("n" * 5000, "name too long"),
        ("pipe.bin", "is not a file"),
        ("loop.bin", "external data at 'loop.bin'"),
    ],
)
def test_external_weights_from_elsewhere_are_refused(
    tmp_path: Path, location: str, why: str
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\0" * 1000)
    folder = tmp_path / "inside"
    folder.mkdir()
    os.symlink(tmp_path / "weights.bin", folder / "link.bin")
    os.symlink(folder / "loop.bin", folder / "loop.bin")
    os.mkfifo(folder / "pipe.bin")
    with pytest.raises(ModelError, match=why):
        read_model(with_external(folder, location))


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({"offset": 20}, "past its end"),
        ({"offset": -1}, "not a number of bytes"),
        ({"length": 8}, "needs 256 bytes, but 8 are stored"),
        ({"length": 1 << 60}, "past its end"),
        ({"length": 10**30}, "not a number of bytes"),
    ],
)
def test_external_weights_of_the_wrong_length_are_refused(
    tmp_path: Path, entries: dict[str, int], why: str
) -> None:
    with pytest.raises(ModelError, match=why):
        read_model(with_external(tmp_path, "weights.bin", **entries))


def test_a_weight_file_that_shrinks_after_opening_is_an_error_on_load(tmp_path: Path) -> None:
    model = read_model(with_external(tmp_path, "weights.bin"))
    (tmp_path / "weights.bin").write_bytes(b"\0")
    with pytest.raises(ModelError, match="weight 'w' cannot be read"):
        model.weights["w"].load()
