"""What ops meant in opsets 1 to 6, which onnxruntime no longer runs: by hand, with numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.ir.errors import ModelError, Unsupported
from emu.ir.interpret import interpret
from emu.ir.types import Array
from emu.models.reader import to_graph
from tests.models.small_models import ints, one_node, opened, real

X = real(2, 3, 4)
IMAGE = real(1, 2, 3, 4)
CHANNELS = [np.abs(real(2, seed=i)) + np.float32(0.5) for i in range(4)]
PLACES = [np.abs(real(2, 3, 4, seed=i)) + np.float32(0.5) for i in range(4)]
EPSILON = 1e-5


def normal(x: Array, scale: Array, bias: Array, mean: Array, variance: Array) -> Array:
    return (x - mean) / np.sqrt(variance + EPSILON) * scale + bias


def wide(vector: Array) -> Array:
    return vector[:, None, None]


# An op, its opset, inputs, constants, attributes, and what comes of it.
OLD: list[tuple[Any, ...]] = [
    ("Add", 6, [X, real(3)], [], {"broadcast": 1, "axis": 1}, X + real(3)[:, None]),
    ("Mul", 1, [X, real(2, 3)], [], {"broadcast": 1, "axis": 0}, X * real(2, 3)[..., None]),
    ("Sub", 6, [X, real(4)], [], {"broadcast": 1}, X - real(4)),
    ("Div", 6, [X, np.array(3, np.float32)], [], {"broadcast": 1, "axis": 3}, X / 3),
    ("Add", 6, [X, X], [], {"consumed_inputs": [0, 0]}, X + X),
    ("PRelu", 6, [X, real(3)], [], {}, np.where(X < 0, X * real(3)[:, None], X)),
    ("PRelu", 6, [X, real(1)], [], {}, np.where(X < 0, X * real(1), X)),
    ("Dropout", 6, [X], [], {"is_test": 1}, X),
    ("Cast", 5, [X], [], {"to": "FLOAT"}, X),
    ("BatchNormalization", 6, [IMAGE, *CHANNELS], [], {"is_test": 1},
     normal(IMAGE, *map(wide, CHANNELS))),
    ("BatchNormalization", 8, [IMAGE, *PLACES], [], {"spatial": 0}, normal(IMAGE, *PLACES)),
    ("Concat", 3, [X, X], [], {}, np.concatenate([X, X], 1)),
    ("Pad", 1, [X], [], {"paddings": [0, 1, 0, 0, 0, 2]},
     np.pad(X, [(0, 0), (1, 0), (0, 2)])),
    ("Reshape", 4, [X], [], {"shape": [0, -1]}, X.reshape(2, 12)),
    ("Tile", 1, [X], [np.float32(2), np.float32(1)], {}, np.tile(X, (1, 2, 1))),
    ("Upsample", 1, [IMAGE], [], {"height_scale": 2.0, "width_scale": 1.0},
     np.repeat(IMAGE, 2, 2)),
    ("Gemm", 6, [X[0], X[0].T.copy(), real(3)], [], {"broadcast": 1}, X[0] @ X[0].T + real(3)),
    ("Split", 1, [X], [ints(1, 2)], {"axis": 1}, X[:, :1]),
]  # fmt: skip
Old = tuple[str, int, list[Array], list[Array], dict[str, Any], Array]


@pytest.mark.parametrize("old", OLD, ids=lambda old: f"{old[0]}-{old[1]}")
def test_an_op_means_what_it_meant_in_its_opset(tmp_path: Path, old: Old) -> None:
    op, opset, inputs, constants, attrs, expected = old
    outputs = ("f32", "f32") if op == "Split" else ("f32",)
    known = [np.asarray(c) for c in constants]
    proto, given = one_node(op, [np.asarray(i) for i in inputs], opset, known, outputs, **attrs)
    graph = to_graph(opened(tmp_path, proto), {}).verify()
    found = interpret(graph, given)["y0"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [7, 10, 13])
def test_nothing_is_dropped_so_the_mask_is_true(tmp_path: Path, opset: int) -> None:
    truth = "i1" if opset >= 10 else "f32"
    proto, given = one_node("Dropout", [X], opset, outputs=("f32", truth))
    found = interpret(to_graph(opened(tmp_path, proto), {}), given)
    assert found["y1"].all()
    assert found["y1"].shape == X.shape
    np.testing.assert_array_equal(found["y0"], X)


@pytest.mark.parametrize(
    ("op", "opset", "inputs", "attrs", "why"),
    [
        ("Add", 6, [X, real(3, 4)], {"broadcast": 1, "axis": 2}, "does not lie in"),
        ("Gemm", 6, [X[0], X[0].T.copy(), real(3)], {}, "without 'broadcast'"),
        ("Dropout", 6, [X], {}, "is_test 0"),
        ("Cast", 5, [X], {"to": "WORD"}, "no element type of ONNX"),
    ],
)
def test_what_an_old_opset_does_not_allow_is_refused(
    tmp_path: Path, op: str, opset: int, inputs: list[Array], attrs: dict[str, Any], why: str
) -> None:
    proto, _ = one_node(op, inputs, opset, **attrs)
    with pytest.raises((ModelError, Unsupported), match=why):
        to_graph(opened(tmp_path, proto), {})
