"""Branches, trips and shapes that the host decides by values of a run."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import emu
from emu import backend
from emu.ir.errors import ModelError, OtherTypes
from emu.ir.fusion.wiring import wiring_of
from emu.ir.ops import OPS
from emu.ir.ops.decide import DECIDE
from emu.ir.program import Copy, HostCall, Launch
from emu.ir.types import TensorType
from emu.models.reader import to_graph
from tests.models.small_models import ints, node, opened, proto, real, saved, unshaped, value

X = np.abs(real(2, 3))


def branch(op: str) -> onnx.GraphProto:
    return helper.make_graph([node(op, ["r"], "z")], op, [], [unshaped("z")])


# r = relu(x); y = neg(r) if its sum is above 1, else abs(r).
CHOICE = proto(
    [
        node("Relu", ["x"], "r"),
        node("ReduceSum", ["r"], "s", keepdims=0),
        node("Greater", ["s", "one"], "c"),
        node("If", ["c"], "y", name="choice", then_branch=branch("Neg"), else_branch=branch("Abs")),
    ],
    [value("x", X.shape)],
    [unshaped("y")],
    {"one": np.array(1, np.float32)},
    16,
)
# As many columns as the largest of k says; k is computed from x.
SHAPED = proto(
    [
        node("Shape", ["x"], "s"),
        node("ReduceMax", ["k"], "m", keepdims=1),
        node("Concat", ["m", "rest"], "shape", axis=0),
        node("Reshape", ["x", "shape"], "y"),
    ],
    [value("x", [2, 3]), value("k", [2], "i64")],
    [unshaped("y")],
    {"rest": ints(-1)},
    13,
)


def test_a_branch_is_the_one_that_the_values_take() -> None:
    prepared = backend.prepare(CHOICE)
    for x, want in ((X, -X), (0 * X, 0 * X), (2 * X, -2 * X)):
        np.testing.assert_array_equal(prepared.run([x])[0], want)


def test_the_host_reads_a_condition_over_the_link_before_it_launches_on(tmp_path: Path) -> None:
    executable = emu.compile(saved(tmp_path / "m.onnx", CHOICE), samples={"x": X})
    compiled = executable.compiled
    steps = [c for c in compiled.program.commands if isinstance(c, Copy | HostCall | Launch)]
    kinds = [type(step).__name__ for step in steps]
    here = kinds.index("HostCall")
    assert kinds[here - 1 :] == ["Copy", "HostCall", "Launch"]
    assert steps[here - 1] == Copy("c", "host", 1)
    assert compiled.trace.ledger["link"] > 0
    assert compiled.trace.ledger["host"] > 0
    with pytest.raises(OtherTypes, match=r"decides by \(0,\) where .* for \(1,\)"):
        executable.run({"x": 0 * X}, check=False)


def test_nothing_is_grouped_across_what_the_host_decides_by(tmp_path: Path) -> None:
    graph = to_graph(opened(tmp_path, CHOICE), {}, {"x": X})
    here = next(i for i, n in enumerate(graph.nodes) if n.op == DECIDE)
    readers = wiring_of(graph).readers
    assert here in readers[here - 1]
    assert readers[here] == (here + 1,)


def test_a_shape_that_is_computed_is_read_and_the_rule_takes_it(tmp_path: Path) -> None:
    given = {"x": X, "k": ints(1, 3)}
    graph = to_graph(opened(tmp_path, SHAPED), {}, given)
    assert [n.op for n in graph.nodes][-2:] == [DECIDE, "Reshape"]
    assert graph.types["y"] == TensorType("f32", (3, 2))
    prepared = backend.prepare(SHAPED)
    for rows in (3, 2, 6):
        assert prepared.run([X, ints(1, rows)])[0].shape == (rows, 6 // rows)


def test_a_decision_has_a_number_for_each_element() -> None:
    with pytest.raises(ModelError, match="'was' must have 2 numbers"):
        OPS[DECIDE].infer([TensorType("i64", (2,))], {"was": (1,)})
