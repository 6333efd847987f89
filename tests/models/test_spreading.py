"""Rules of ops that put elements where they belong; their values are compared in tests/emu."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.ir.errors import ModelError
from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.types import Array
from emu.models.reader import to_graph
from tests.models.small_models import ints, one_node, opened, real

COLUMNS = real(1, 9, 4)
IMAGE = real(1, 1, 2, 2)
CACHE, ROWS = real(2, 4, 3), real(2, 2, 3, seed=1)


def graph_of(folder: Path, op: str, inputs: list[Array], *tail: Array, **attrs: Any) -> Graph:
    outputs = ("f32", "f32") if op == "Split" else ("f32",)
    model, _ = one_node(op, inputs, 24, [*tail], outputs, **attrs)
    return to_graph(opened(folder, model), {})


WRONG: list[tuple[str, list[Array], list[Array], dict[str, Any], str]] = [
    ("Col2Im", [COLUMNS], [ints(5, 5), ints(2, 2)], {}, "does not make an image [5, 5]"),
    ("Col2Im", [COLUMNS], [ints(5), ints(3, 3)], {}, "blocks [3, 3] do not fit"),
    ("MaxUnpool", [IMAGE, ints(0)], [], {"kernel_shape": [2]}, "a kernel [2] does not fit"),
    ("MaxUnpool", [IMAGE, ints(0, 1, 2, 3)], [ints(1, 1, 1, 1)], {"kernel_shape": [2, 2]},
     "does not hold [1, 1, 3, 3]"),
    ("TensorScatter", [ROWS, CACHE], [ints(0, 0)], {}, "does not go into"),
    ("TensorScatter", [CACHE, ROWS], [], {"mode": "spiral"}, "mode 'spiral'"),
    ("LpPool", [IMAGE], [], {"kernel_shape": [2, 2], "p": 0}, "a norm of order 0"),
    ("ReduceMean", [np.zeros((2, 0), np.int64)], [ints(1)], {}, "has no mean"),
    ("LpNormalization", [CACHE], [], {"p": 3}, "p is 1 or 2, not 3"),
    ("LRN", [CACHE], [], {"size": 0}, "size 0 does not fit"),
    ("Reshape", [CACHE], [ints(0, 24)], {"allowzero": 1}, "cannot take the shape [0, 24]"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: f"{w[0]}: {w[4]}")
def test_what_does_not_fit_together_is_an_error_with_the_node(tmp_path: Path, wrong: Any) -> None:
    op, inputs, tail, attrs, why = wrong
    with pytest.raises(ModelError) as caught:
        graph_of(tmp_path, op, inputs, *tail, **attrs)
    assert "node 'the_node'" in str(caught.value)
    assert why in str(caught.value)


def test_a_part_of_no_elements_is_known_and_the_others_are_cut(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "Split", [CACHE], ints(0, 4), axis=1)
    first, second = graph.outputs
    assert graph.constants[first].type.dims == (2, 0, 3)
    np.testing.assert_array_equal(interpret(graph, {graph.inputs[0]: CACHE})[second], CACHE)


def test_a_diagonal_is_a_slice_of_what_lies_flat(tmp_path: Path) -> None:
    square = real(3, 2, 3)
    graph = graph_of(tmp_path, "Einsum", [square], equation="iji->ij")
    found = interpret(graph, {graph.inputs[0]: square})[graph.outputs[0]]
    np.testing.assert_array_equal(found, np.einsum("iji->ij", square))
    assert {node.op for node in graph.nodes} <= {"Transpose", "Reshape", "Slice", "Identity"}


@pytest.mark.parametrize(
    ("op", "dtype", "result"),
    [
        ("ReduceMax", np.int32, np.iinfo(np.int32).min),
        ("ReduceMin", np.int64, np.iinfo(np.int64).max),
        ("ReduceMin", np.bool_, True),
        ("ReduceProd", np.float32, 1),
        ("ReduceSum", np.uint32, 0),
        ("ReduceLogSumExp", np.float32, -np.inf),
    ],
)
def test_a_reduction_of_nothing_gives_what_changes_no_other(
    tmp_path: Path, op: str, dtype: Any, result: float
) -> None:
    graph = graph_of(tmp_path, op, [np.zeros((2, 0), dtype)], ints(1), keepdims=0)
    found = graph.constants[graph.outputs[0]].load()
    assert found.dtype == dtype
    assert found.tolist() == [result, result]
