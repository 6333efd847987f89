"""The same from Python: one call compiles, one runs, and every noun of the flow can be reached."""

from pathlib import Path

import numpy as np
import pytest
from onnx import GraphProto, TensorProto, ValueInfoProto, helper, numpy_helper

import emu
from emu.devices.driver import Isa, Loader, load
from emu.dump import Watch
from emu.ir.errors import BadOption, BadValues, CapacityError, UnknownName
from emu.ir.fusion import DEFAULT_DECIDER
from emu.ir.passes import DEFAULT_PASSES
from emu.ir.text import print_fused, print_graph, print_program, print_schedule
from emu.models.zoo import build
from emu.pipeline import make_stack
from tests.emu.cases import DEVICES, SCOPES

STAGES = (
    "read",
    "import",
    *DEFAULT_PASSES,
    "fuse",
    "bind kernels",
    "plan",
    "encode",
    "load",
    "simulate",
)


def tensor(name: str, *dims: int, dtype: int = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, dims)


def test_one_call_compiles_and_one_runs() -> None:
    run = emu.compile("mlp", device="systolic", fusion="global", kernels="deep").run()
    assert run.check is not None
    assert run.check.ok
    assert run.compiled.trace.total_ps == sum(run.compiled.trace.ledger.values())


def test_every_noun_of_the_flow_is_reachable_and_prints() -> None:
    found = emu.compile("diamond").compiled
    nouns = (
        print_graph(found.graph),
        print_graph(found.lowered),
        print_fused(found.fused),
        print_schedule(found.schedule),
        print_program(found.program),
    )
    assert all('"builtin.module"()' in text for text in nouns)
    assert all(str(noun) for noun in (found.model, found.stack, found.trace))


def test_what_runs_is_what_the_driver_parsed_back() -> None:
    found = emu.compile("diamond", device="npu").compiled
    assert load(found.container, Loader(Isa("npu"))) == found.program


def test_a_model_may_be_a_name_a_value_or_a_path(tmp_path: Path) -> None:
    file = tmp_path / "relu.onnx"
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="r")]
    save(file, helper.make_graph(nodes, "g", [tensor("x", 2, 3)], [tensor("y", 2, 3)]))
    by_text, by_path = (emu.compile(model).compiled for model in (str(file), file))
    assert by_text.trace == by_path.trace
    by_name = emu.compile("mlp", settings={"batch": 3}).compiled
    assert emu.compile(build("mlp", {"batch": 3})).compiled.trace == by_name.trace


def save(file: Path, graph: GraphProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    file.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("scope", SCOPES)
def test_fusion_none_alone_runs_no_passes(scope: str) -> None:
    stack = make_stack(fusion=scope)
    assert stack.compiler.passes == (() if scope == "none" else DEFAULT_PASSES)
    assert stack.compiler.decider == DEFAULT_DECIDER[scope]
    assert make_stack(fusion=scope, passes=[]).compiler.passes == ()


def test_the_seed_decides_random_inputs_and_runs_are_bit_equal() -> None:
    mlp = emu.compile("mlp")
    first, again, other = (mlp.run(seed=seed, check=False).outputs for seed in (0, 0, 1))
    assert first
    assert again
    assert other
    assert first["logits"].tobytes() == again["logits"].tobytes() != other["logits"].tobytes()


@pytest.mark.parametrize("device", DEVICES)
def test_both_executors_compute_the_same_on_inputs_given(device: str) -> None:
    diamond = emu.compile("diamond", device=device)
    x = np.random.default_rng(3).standard_normal((64, 256)).astype(np.float32)
    fast, tiles = (diamond.run({"x": x}, executor=name) for name in ("fast", "tiles"))
    assert fast.outputs
    assert tiles.outputs
    for name, value in fast.outputs.items():
        np.testing.assert_allclose(tiles.outputs[name], value, rtol=0, atol=1e-5)


def test_every_stage_is_timed_once_and_in_order() -> None:
    watch = Watch()
    emu.compile("diamond", watch=watch)
    assert tuple(name for name, _ in watch.timings) == STAGES


def test_without_values_nothing_is_computed_and_no_weight_is_made() -> None:
    run = emu.compile("mlp", settings={"hidden": 40_000}).run(values=False)
    assert (run.inputs, run.outputs, run.check) == (None, None, None)


def test_a_name_that_does_not_exist_is_refused_with_a_near_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'gpu'"):
        emu.compile("mlp", device="gpux")
    with pytest.raises(UnknownName, match="did you mean 'none'"):
        emu.compile("mlp", fusion="nonex")
    with pytest.raises(UnknownName, match="did you mean 'deep'"):
        emu.compile("mlp", kernels="Deep")
    with pytest.raises(UnknownName, match="did you mean 'remove-dead'"):
        emu.compile("mlp", passes=["remove-ded"])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CapacityError, match="does not fit gpu"):
        emu.compile("mlp", settings={"hidden": 200_000})
    with pytest.raises(BadValues, match="no input 'y'"):
        emu.compile("mlp").run({"y": np.ones(1)})
    with pytest.raises(BadOption, match="fast and tiles"):
        emu.compile("mlp").run(executor="quick")
    with pytest.raises(BadOption, match="at most"):
        emu.compile("mlp", settings={"layers": 10**8})


def test_a_value_without_elements_costs_nothing_and_is_right(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Slice", ["x", "one", "one"], ["z"], name="nothing"),
        helper.make_node("Concat", ["x", "z"], ["y"], name="join", axis=0),
    ]
    one = numpy_helper.from_array(np.array([1]), "one")
    file = tmp_path / "empty.onnx"
    save(file, helper.make_graph(nodes, "g", [tensor("x", 2, 3)], [tensor("y", 2, 3)], [one]))
    run = emu.compile(file).run()
    assert run.check is not None
    assert run.check.ok
    assert [node.op for node in run.compiled.lowered.nodes] == ["Concat"]


@pytest.mark.parametrize("executor", ["fast", "tiles"])
@pytest.mark.parametrize("index", [-6, 5])
def test_an_index_outside_of_a_table_is_refused(tmp_path: Path, executor: str, index: int) -> None:
    table = numpy_helper.from_array(np.ones((5, 4), np.float32), "table")
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"], name="rows")]
    ids = tensor("ids", 3, dtype=TensorProto.INT64)
    file = tmp_path / "gather.onnx"
    save(file, helper.make_graph(nodes, "g", [ids], [tensor("y", 3, 4)], [table]))
    with pytest.raises(BadValues, match="outside of 5 entries"):
        emu.compile(file).run({"ids": np.array([0, 1, index])}, executor=executor)
