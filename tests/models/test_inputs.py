"""Input values: what emu draws, and what it refuses from a user."""

from pathlib import Path

import numpy as np
import pytest

from emu.ir.errors import BadValues
from emu.ir.graph import Graph, Node
from emu.ir.types import Array, TensorType
from emu.models.inputs import check_inputs, index_bound, random_inputs
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.models.small_models import node, opened, proto, real, unshaped, value

BERT = to_graph(build("bert_base", {"layers": 1, "seq": 64}), {})
ATTENTION = to_graph(build("attention", {"seq": 4}), {})


def test_ids_stay_within_their_tables() -> None:
    assert index_bound(BERT, "input_ids") == 30522
    assert index_bound(BERT, "token_type_ids") == 2
    drawn = random_inputs(BERT, seed=0)
    assert set(np.unique(drawn["token_type_ids"])) == {0, 1}
    assert 1000 < drawn["input_ids"].max() < 30522
    assert drawn["input_ids"].dtype == np.int64


def graph(dtype: str, *nodes: Node) -> Graph:
    types = {"x": TensorType(dtype, (100,)), "table": TensorType("f32", (3, 7))}
    types |= {"r": TensorType(dtype, (10, 10)), "y": TensorType("f32", (3, 10, 10))}
    return Graph("small", ("x", "table"), (), nodes, types, {})


def test_a_table_is_found_behind_a_reshape() -> None:
    nodes = (
        Node("r", "Reshape", ("x",), ("r",), {"shape": (10, 10)}),
        Node("g", "Gather", ("table", "r"), ("y",), {"axis": 1}),
    )
    assert index_bound(graph("i32", *nodes), "x") == 7


def test_what_is_summed_before_it_is_an_index_is_a_truth() -> None:
    """As a mask is, of which a model counts the places: more would be outside of the table."""
    nodes = (
        Node("r", "CumSum", ("x",), ("r",), {"axis": 0}),
        Node("g", "Gather", ("table", "r"), ("y",), {"axis": 1}),
    )
    assert index_bound(graph("i64", *nodes), "x") == 2


def test_lengths_of_sequences_are_within_them(tmp_path: Path) -> None:
    made = node("GRU", ["x", "w", "r", "", "lengths"], "y", hidden_size=1)
    known = {"w": real(1, 3, 2), "r": real(1, 3, 1)}
    fed = [value("x", [3, 2, 2]), value("lengths", [2], "i32")]
    read = to_graph(opened(tmp_path, proto([made], fed, [unshaped("y")], known)), {})
    assert index_bound(read, "lengths") == 3


def test_integers_without_a_table_are_digits_and_booleans_are_mixed() -> None:
    assert set(np.unique(random_inputs(graph("ui8"), 0)["x"])) == set(range(10))
    assert set(np.unique(random_inputs(graph("i1"), 0)["x"])) == {False, True}


def test_real_numbers_are_standard_normal_and_follow_seed_and_name() -> None:
    first, same, other = (random_inputs(ATTENTION, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["q"], same["q"])
    assert not np.array_equal(first["q"], other["q"])
    assert not np.array_equal(first["q"], first["k"])
    assert first["q"].std() == pytest.approx(1, abs=0.1)


def test_what_emu_draws_is_accepted() -> None:
    drawn = random_inputs(ATTENTION, seed=3)
    check_inputs(ATTENTION, drawn)
    assert drawn.keys() == {"q", "k", "v"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"qq": np.zeros(1)}, "no input 'qq'; did you mean 'q'"),
        ({"zzz": np.zeros(1)}, "no input 'zzz'; known: q, k, v"),
        ({"q": np.zeros((1, 12, 4, 64))}, r"'q' must be f32 \(float32\), not float64"),
        ({"q": np.zeros((1, 12, 5, 64), np.float32)}, r"'q' must have the shape \(1, 12, 4, 64\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(change: dict[str, Array], why: str) -> None:
    with pytest.raises(BadValues, match=why):
        check_inputs(ATTENTION, {**random_inputs(ATTENTION, 0), **change})


def test_a_missing_input_is_named_with_its_type() -> None:
    with pytest.raises(BadValues, match=r"'q' of attention has no value \(tensor<1x12x4x64xf32>\)"):
        check_inputs(ATTENTION, {})
