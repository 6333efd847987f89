"""Sparse tensors of a file are dense once it is open, wherever they stand, or refused."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import emu
from emu.ir.errors import ModelError, OverLimit, Unsupported
from emu.ir.types import Array
from emu.models.limits import LIMITS
from emu.models.reader import to_graph
from emu.models.sparse import sparse_of
from tests.models.small_models import ints, node, opened, proto, real, saved, unshaped, value


def sparse(dense: Array, name: str = "w", by_rank: bool = True) -> onnx.SparseTensorProto:
    """The elements of a tensor that are not zero, at indices of either form."""
    flat = np.flatnonzero(dense)
    places = np.argwhere(dense).reshape(len(flat), dense.ndim) if by_rank else flat
    values = numpy_helper.from_array(dense.reshape(-1)[flat], name)
    indices = numpy_helper.from_array(places.astype(np.int64), "places")
    return helper.make_sparse_tensor(values, indices, dense.shape)


def thinned(*shape: int, seed: int = 0) -> Array:
    return np.where(np.random.default_rng(seed).random(shape) < 0.3, real(*shape, seed=seed), 0)


def ran(path: Path, inputs: dict[str, Array]) -> Array:
    """What a run makes; it is checked against onnxruntime, on the tensors that are dense."""
    outputs = emu.compile(path).run(inputs).outputs
    assert outputs is not None
    return outputs["y"]


def with_sparse(held: onnx.SparseTensorProto) -> onnx.ModelProto:
    made = proto([node("MatMul", ["x", "w"], "y")], [value("x", [2, 8])], [unshaped("y")])
    made.graph.sparse_initializer.append(held)
    return made


@pytest.mark.parametrize("by_rank", [True, False])
def test_a_sparse_weight_is_dense_when_it_is_loaded(by_rank: bool, tmp_path: Path) -> None:
    weight = thinned(8, 8)
    model = opened(tmp_path, with_sparse(sparse(weight, by_rank=by_rank)))
    assert not model.proto.graph.sparse_initializer
    assert to_graph(model, {}).constants["w"].inline is None
    np.testing.assert_array_equal(model.weights["w"].load(), weight)


def test_a_model_with_a_sparse_weight_agrees_with_onnxruntime(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", with_sparse(sparse(thinned(8, 8))))
    x, ort = real(2, 8, seed=1), cast(Any, onnxruntime)
    (expected,) = ort.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_allclose(ran(path, {"x": x}), expected, rtol=1e-5)


def test_a_sparse_shape_is_part_of_the_model_text(tmp_path: Path) -> None:
    made = proto([node("Pad", ["x", "w"], "y")], [value("x", [8])], [unshaped("y")])
    made.graph.sparse_initializer.append(sparse(ints(0, 2)))
    assert to_graph(opened(tmp_path, made), {}).types["y"].dims == (10,)


def test_a_sparse_tensor_of_four_bits_is_one_too(tmp_path: Path) -> None:
    dense = np.array([0, -3, 0, 7], helper.tensor_dtype_to_np_dtype(onnx.TensorProto.INT4))
    made = with_sparse(sparse(dense))
    (tensor,) = opened(tmp_path, made).proto.graph.initializer
    assert numpy_helper.to_array(tensor).astype(int).tolist() == [0, -3, 0, 7]


def test_sparse_tensors_of_branches_and_constants_are_dense_too(tmp_path: Path) -> None:
    weight, bias = thinned(4, 4), thinned(4, 4, seed=5)
    branch = helper.make_graph([node("Add", ["x", "w"], "b")], "b", [], [unshaped("b")])
    branch.sparse_initializer.append(sparse(weight))
    held = node("Constant", [], "c", sparse_value=sparse(bias))
    choice = node("If", ["go"], "z", then_branch=branch, else_branch=branch)
    nodes = [held, choice, node("Add", ["z", "c"], "y")]
    made = proto(nodes, [value("x", [4, 4])], [unshaped("y")], {"go": np.array(True)})
    x = real(4, 4, seed=2)
    y = ran(saved(tmp_path / "m.onnx", made), {"x": x})
    np.testing.assert_allclose(y, x + weight + bias, rtol=1e-6)


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), max_size=4),
    seed=st.integers(0, 1000),
    by_rank=st.booleans(),
)
def test_what_was_made_sparse_is_the_same_when_it_is_dense(
    shape: list[int], seed: int, by_rank: bool
) -> None:
    dense = np.asarray(thinned(*shape, seed=seed), np.float32)
    found = sparse_of(sparse(dense, by_rank=by_rank), "m.onnx", LIMITS)
    np.testing.assert_array_equal(found.dense(), dense)
    assert found.constant.load().shape == dense.shape


def held(values: Array, indices: Any, dims: list[int]) -> onnx.SparseTensorProto:
    made = onnx.SparseTensorProto(dims=dims)
    made.values.CopyFrom(numpy_helper.from_array(values, "w"))
    made.indices.CopyFrom(numpy_helper.from_array(np.array(indices), "i"))
    return made


TWO = np.ones(2, np.float32)
WRONG = {
    "outside": (held(TWO, [0, 4], [2, 2]), "an index is outside of the shape"),
    "negative": (held(TWO, [-1, 0], [2, 2]), "an index is outside of the shape"),
    "outside-a-row": (held(TWO, [[0, 0], [0, 2]], [2, 2]), "an index is outside of the shape"),
    "of-nothing": (held(TWO, [0, 1], [0, 1 << 20]), "an index is outside of the shape"),
    "twice": (held(TWO, [1, 1], [2, 2]), "do not ascend, or one is there twice"),
    "descending": (held(TWO, [[1, 0], [0, 0]], [2, 2]), "do not ascend"),
    "few": (held(TWO, [0], [2, 2]), r"has \(2,\) values at \(1,\) indices of int64"),
    "ranks": (held(TWO, [[0], [1]], [2, 2]), r"at \(2, 1\) indices"),
    "floats": (held(TWO, [0.0, 1.0], [2, 2]), "indices of float64"),
    "matrix": (held(np.ones((1, 2), np.float32), [0], [2, 2]), r"has \(1, 2\) values"),
    "minus": (held(TWO, [0, 1], [-2, 2]), r"has the shape \[-2, 2\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_indices_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    tensor, why = WRONG[name]
    with pytest.raises(ModelError, match=rf"tensor 'w'.*{why}"):
        opened(tmp_path, with_sparse(tensor))


def test_text_cannot_be_sparse_and_a_dense_tensor_has_limits(tmp_path: Path) -> None:
    text = held(np.array([b"a", b"b"], object), [0, 1], [2, 2])
    with pytest.raises(Unsupported, match="sparse tensor 'w': text cannot be sparse"):
        opened(tmp_path, with_sparse(text))
    with pytest.raises(OverLimit, match=r"sparse tensor 'w': has .* bytes; the limit is"):
        opened(tmp_path, with_sparse(held(TWO, [0, 1], [1 << 40, 1 << 40])))
    many = with_sparse(held(np.ones(1, np.int64), [0], [1 << 17]))
    for i in range(150):
        many.graph.sparse_initializer.append(many.graph.sparse_initializer[0])
        many.graph.sparse_initializer[-1].values.name = f"w{i}"
    with pytest.raises(OverLimit, match="structure_bytes"):
        opened(tmp_path, many)
