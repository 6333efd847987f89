"""Recurrent cells over sequences of different lengths, beside onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.ir.interpret import interpret
from emu.ir.ops.decide import HOST_ONLY
from emu.models.reader import to_graph
from tests.models.small_models import one_node, opened, real

STEPS, BATCH, WIDTH, HIDDEN = 4, 3, 2, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
LENGTHS = np.array([4, 0, 2], np.int32)


@pytest.mark.parametrize("computed", [False, True], ids=["known", "computed"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_a_sequence_that_ends_keeps_its_state_and_makes_zeros(
    tmp_path: Path, op: str, direction: str, computed: bool
) -> None:
    turns, rows = 1 + (direction == "bidirectional"), GATES[op] * HIDDEN
    weights = [real(turns, rows, WIDTH, seed=1), real(turns, rows, HIDDEN, seed=2)]
    first = real(turns, BATCH, HIDDEN, seed=3)
    inputs: list[Any] = [real(STEPS, BATCH, WIDTH), *weights, real(turns, 2 * rows, seed=4)]
    tail: list[Any] = [LENGTHS, first]
    given = [*inputs, *tail] if computed else inputs
    attrs = {"hidden_size": HIDDEN, "direction": direction}
    outputs = ("f32",) * (3 if op == "LSTM" else 2)
    made, fed = one_node(op, given, 14, () if computed else tail, outputs, **attrs)
    model = opened(tmp_path, made)
    graph = to_graph(model, {})
    assert not [node for node in graph.nodes if node.op in HOST_ONLY]
    ours, theirs = interpret(graph, fed), onnxruntime_outputs(model, fed)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-5, err_msg=name)
