"""emu coverage: exact shares, and a curve of kernels to add that never rises."""

import json

import pytest

from emu.ir.work import whole_work
from emu.pipeline import compile
from emu.studies.coverage import WHOLE, curve, shares
from tests.emu.cases import Call, compiled


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
@pytest.mark.parametrize("kernels", ["reference", "deep"])
def test_shares_sum_to_all_nodes_operations_and_picoseconds(device: str, kernels: str) -> None:
    found = compiled("bert_layer", device, "vertical", kernels).compiled
    sums = shares(found)

    assert sum(sums.nodes.values()) == len(found.lowered.nodes)
    assert sum(sums.time_ps.values()) == found.trace.total_ps
    works = [whole_work(b.body) for b in found.schedule.bindings]
    assert sum(sums.operations.values()) == sum(w.flops + w.transcendentals for w in works)
    assert sums.nodes["refused"] == 0


def test_the_curve_begins_with_the_stack_ends_with_the_whole_library_and_never_rises() -> None:
    points = curve(compiled("bert_layer", "gpu", "vertical", "basic"))
    times = [point.latency_ps for point in points]

    assert points[0].kernel == ""
    assert times[0] == compiled("bert_layer", "gpu", "vertical", "basic").compiled.trace.total_ps
    assert times == sorted(times, reverse=True)
    assert {p.kernel for p in points[1:]} == {f"vendor.{k.name}" for k in WHOLE.kernels}
    whole = compiled("bert_layer", "gpu", "vertical", "vendor").compiled.trace.total_ps
    assert times[-1] <= whole


def test_the_first_kernel_is_the_one_that_removes_most() -> None:
    points = curve(compiled("conv_block", "systolic", "vertical", "reference"))
    assert points[1].kernel == "vendor.product+epilogue"
    assert points[1].latency_ps < points[0].latency_ps


def test_a_kernel_for_what_the_chip_sends_to_the_host_is_on_the_curve() -> None:
    executable = compiled("bert_layer", "npu", "vertical", "vendor")
    assert shares(executable.compiled).nodes["host"] == 1
    points = curve(executable)
    assert points[1].kernel == "npu.Erf"
    assert points[1].latency_ps < points[0].latency_ps


def test_nothing_is_missing_from_a_whole_library_on_a_chip_that_refuses_nothing() -> None:
    assert len(curve(compiled("mlp", "gpu", "vertical", "vendor"))) == 1


def test_a_curve_leaves_what_is_compiled_later_alone() -> None:
    before = compiled("conv_block", "systolic", "vertical", "basic").compiled.trace.total_ps
    curve(compiled("conv_block", "systolic", "vertical", "basic"))
    again = compile(
        "conv_block", device="systolic", kernels="basic", settings={"image": 14, "channels": 64}
    )
    assert again.compiled.trace.total_ps == before


def test_the_report_is_for_people_and_its_json_has_the_stable_keys(run: Call) -> None:
    code, out, _ = run("coverage", "conv_block", "-d", "systolic", "-k", "reference")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "(the stack as it is)" in out
    assert "#" in out

    code, out, _ = run("coverage", "conv_block", "-d", "systolic", "-k", "reference", "--json")
    found = json.loads(out)
    assert (code, found["schema"], found["model"]) == (0, "emu.coverage/1", "conv_block")
    classes = {"native", "generated", "composed", "host", "refused"}
    assert all(set(found[key]) == classes for key in ("nodes", "operations", "time_ps"))
    assert sum(found["time_ps"].values()) == found["curve"][0]["latency_ps"]
    assert all(set(point) == {"kernel", "latency_ps"} for point in found["curve"])


def test_a_model_that_does_not_exist_is_one_line_and_exit_2(run: Call) -> None:
    code, out, err = run("coverage", "bert_lair")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "did you mean 'bert_layer'" in err
