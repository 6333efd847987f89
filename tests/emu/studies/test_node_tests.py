"""emu ops: the class of an op is that of its weakest test, and the table of the page is true."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from onnx.backend.test.case.test_case import TestCase as Case

from emu.studies.node_tests import CLASSES, ON_DEVICE, OpClass, Verdict, node_tests, verdict
from tests.emu.cases import Call

PAGE = Path(__file__).parents[3] / "docs" / "ops.md"
ROW = re.compile(r"^\| (\w+) +\| +(\d+) \| (\w+)", re.MULTILINE)  # op, tests, class on gpu
TESTS_EACH = 2
SOME_TESTS = 8
# Ops whose values nothing else compares on devices.
VALUED = (
    *("ArgMax", "ArgMin", "BatchNormalization", "Col2Im", "CumProd", "CumSum", "Einsum"),
    *("BitShift", "BitwiseAnd", "BitwiseNot", "Mod", "Pow", "TopK"),
    *("GatherElements", "GatherND", "GlobalMaxPool", "Hardmax", "IsInf", "IsNaN", "LRN"),
    *("LpNormalization", "LpPool", "MaxPool", "MaxUnpool", "Mean", "NegativeLogLikelihoodLoss"),
    *("ReduceLogSumExp", "ReduceProd", "Reshape", "ReverseSequence", "RotaryEmbedding"),
    *("ScatterElements", "ScatterND", "SoftmaxCrossEntropyLoss", "Split", "TensorScatter"),
)
FEWEST = 141  # ops whose tests all run on gpu without the host


@pytest.fixture(scope="module")
def known() -> Mapping[str, tuple[Case, ...]]:
    return node_tests()


def rows() -> dict[str, tuple[int, str]]:
    """The tests and the class on gpu of every op in the table of the page."""
    text = PAGE.read_text("utf-8").split("<!-- table -->")[1].split("ops by class")[0]
    return {op: (int(tests), kind) for op, tests, kind in ROW.findall(text)}


def weakest(*kinds: str) -> OpClass:
    return OpClass("Op", tuple(Verdict(str(i), kind) for i, kind in enumerate(kinds)))


def test_an_op_is_of_the_class_of_its_weakest_test() -> None:
    assert weakest("native", "host", "native").kind == "host"
    assert weakest("native", "composed", "generated").is_on_device
    assert weakest("native", "folded").is_on_device
    assert not weakest("folded", "folded").is_on_device
    assert not weakest("native", "wrong").is_on_device
    assert weakest("native", "host", "folded", "composed").on_device == 2


@pytest.mark.checkout
def test_the_page_has_every_op_with_all_of_its_tests(known: Mapping[str, tuple[Case, ...]]) -> None:
    assert {op: tests for op, (tests, _) in rows().items()} == {
        op: len(cases) for op, cases in known.items()
    }
    assert sum(kind in ON_DEVICE for _, kind in rows().values()) >= FEWEST


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
@pytest.mark.parametrize("op", VALUED)
def test_values_are_those_of_onnx_on_each_device(
    known: Mapping[str, tuple[Case, ...]], op: str, device: str
) -> None:
    found = [verdict(case, device) for case in known[op][:SOME_TESTS]]
    assert [str(v) for v in found if v.kind in ("refused", "wrong")] == []


@pytest.mark.checkout
def test_no_op_is_weaker_on_gpu_than_its_row(known: Mapping[str, tuple[Case, ...]]) -> None:
    found = [
        (case.name, verdict(case, "gpu"), CLASSES.index(kind))
        for op, (_, kind) in rows().items()
        if kind in ON_DEVICE
        for case in known[op][:TESTS_EACH]
    ]
    assert [str(v) for _, v, limit in found if CLASSES.index(v.kind) > limit] == []


def test_one_element_type_that_the_device_lacks_makes_an_op_one_of_the_host(run: Call) -> None:
    code, out, _ = run("ops", "Cos", "Mod", "-d", "npu", "--json")
    found = json.loads(out)

    assert code == 0
    assert found["schema"] == "emu.ops/1"
    cos, mod = found["devices"]["npu"]
    assert {test["class"] for test in cos["tests"]} == {cos["class"]} == {"native"}
    assert {test["class"] for test in mod["tests"]} >= {"native", "host"}
    why = next(t["why"] for t in mod["tests"] if t["name"] == "test_mod_mixed_sign_float64")
    assert why == "npu refuses it: Mod: no unit of npu computes in f64"


def test_why_names_each_test_that_the_device_does_not_run_alone(run: Call) -> None:
    code, out, _ = run("ops", "Shape", "-d", "gpu", "--why")

    assert code == 0
    assert out.count("gpu: folded test_shape") == 11


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(("Addd",), "did you mean 'Add'"), (("Add", "-d", "gpu,nqu"), "did you mean 'npu'")],
)
def test_unknown_ops_and_devices_are_refused(
    run: Call, arguments: tuple[str, ...], near: str
) -> None:
    code, _, err = run("ops", *arguments)

    assert code == 2
    assert near in err


def test_values_that_differ_are_wrong(known: Mapping[str, tuple[Case, ...]]) -> None:
    (case,) = known["Relu"]
    assert case.data_sets is not None
    ((inputs, _),) = case.data_sets
    changed = replace(case, data_sets=[(inputs, inputs)])

    assert verdict(case, "gpu").kind == "native"
    assert verdict(changed, "gpu").kind == "wrong"
