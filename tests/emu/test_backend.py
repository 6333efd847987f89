"""The backend protocol of ONNX, and a fixed tenth of ONNX's own tests on each device."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

from emu import backend
from emu.backend import Backend, NotSupported, Npu, Systolic
from emu.ir.errors import NotConstant
from emu.models.reader import to_graph
from tests.emu.onnx_tests import BACKENDS, FAILURES, Outcome, items, outcome, outcomes, surprises
from tests.models.small_models import ints, one_node, opened, real

FIRST, STEP = 1, 10
ATTRIBUTES = {
    "test_spacetodepth_crd_mode_example": "passed",
    "test_convtranspose_output_shape": "passed",
    "test_castlike_FLOAT_to_FLOAT16": "passed",
    "test_cast_no_saturate_FLOAT_to_FLOAT8E4M3FN": "passed",
    "test_attention_local_window": "passed",
}
X, Y = real(2, 3), real(2, 3, seed=1)
ADD = helper.make_node("Add", ["x", "y"], ["sum"])
RESHAPE = helper.make_node("Reshape", ["x", "shape"], ["y"])


def model_of_sum() -> backend.ModelProto:
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in ("x", "y")]
    result = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 3])
    return helper.make_model(helper.make_graph([ADD], "sum", infos, [result]))


@pytest.mark.parametrize("device", BACKENDS)
def test_a_tenth_of_the_tests_of_onnx_passes_but_for_known_failures(device: str) -> None:
    assert surprises(outcomes(device, first=FIRST, step=STEP)) == []


def test_known_failures_still_fail_and_are_explained() -> None:
    known = items("gpu")
    assert surprises(outcome(name, known[name]) for name in FAILURES) == []
    assert all(entry["reason"] and entry["link"] for entry in FAILURES.values())


def test_a_known_failure_that_passes_is_a_surprise_and_so_is_a_new_one() -> None:
    known = next(iter(FAILURES))
    found = [Outcome(known, "passed"), Outcome(known, "wrong"), Outcome("test_new", "refused", "x")]
    assert [line.split()[1] for line in surprises(found)] == [f"{known}:", "test_new:"]


def test_attributes_that_change_values_are_heeded_or_refused() -> None:
    known = items("gpu")
    assert {name: outcome(name, known[name]).kind for name in ATTRIBUTES} == ATTRIBUTES


@pytest.mark.parametrize("device", ["CPU", "npu", "a100_sxm80"])
def test_a_model_runs_by_positions_and_by_names_for_every_shape(device: str) -> None:
    prepared = backend.prepare(model_of_sum(), device)
    (by_position,) = prepared.run([X, Y])
    np.testing.assert_array_equal(by_position, X + Y)
    np.testing.assert_array_equal(prepared.run({"y": Y[:1], "x": X[:1]})[0], X[:1] + Y[:1])
    np.testing.assert_array_equal(backend.run(model_of_sum(), [X, Y], device)[0], X + Y)


@pytest.mark.parametrize("kind", [Backend, Systolic, Npu])
def test_a_node_runs_on_each_device(kind: type[Backend]) -> None:
    outputs = kind.run_node(ADD, [X, Y])
    assert outputs is not None
    np.testing.assert_array_equal(outputs[0], X + Y)


def test_a_shape_that_is_an_input_is_read_before_the_model_is_compiled() -> None:
    for shape in ([3, 2], [6]):
        (y,) = backend.run_node(RESHAPE, [X, np.array(shape)])
        np.testing.assert_array_equal(y, X.reshape(shape))


def test_a_rule_says_which_value_it_has_to_know(tmp_path: Path) -> None:
    model, _ = one_node("Reshape", [X, ints(6)], 13)
    with pytest.raises(NotConstant, match="is not a constant") as caught:
        to_graph(opened(tmp_path, model), {})
    assert caught.value.value == "x1"


def test_only_devices_of_emu_and_the_cpu_of_the_runner_are_supported() -> None:
    assert all(map(backend.supports_device, ("CPU", "gpu", "systolic", "npu")))
    assert not backend.supports_device("CUDA")
    with pytest.raises(NotSupported, match="unknown device 'CUDA'"):
        backend.prepare(model_of_sum(), "CUDA")


def test_what_emu_refuses_is_not_supposed_to_be_implemented() -> None:
    strange = helper.make_node("Strange", ["x"], ["y"], domain="some.where")
    with pytest.raises(BackendIsNotSupposedToImplementIt, match=r"'Strange' of domain 'some.where"):
        backend.run_node(strange, [X])


def test_inputs_that_the_model_does_not_take_are_refused() -> None:
    prepared = backend.prepare(model_of_sum())
    with pytest.raises(NotSupported, match="3 inputs for 2"):
        prepared.run([X, Y, Y])
    with pytest.raises(NotSupported, match="'y'"):
        prepared.run([X])
