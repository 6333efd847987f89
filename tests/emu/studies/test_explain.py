"""emu explain: every decision about a node, in order, by its name in the model."""

import json

import pytest

from emu import compile
from emu.ir.errors import BadOption, UnknownName
from emu.pipeline import Executable
from emu.studies.explain import Recording, Step, check_node, history
from tests.emu.cases import Call, compiled

SMALL = ["bert_layer", "--set", "seq=32"]


def explained(model: str, device: str, **choices: str) -> tuple[Executable, list[Step]]:
    recording = Recording()
    executable = compile(
        model,
        settings={"image": 14, "channels": 64} if model == "conv_block" else {"seq": 32},
        device=device,
        watch=recording,
        fusion=choices.get("fusion", "vertical"),
        kernels=choices.get("kernels", "deep"),
    )
    return executable, list(history(executable, recording.graphs))


def about(steps: list[Step], node: str) -> list[tuple[str, bool, str]]:
    return [(s.stage, s.decision.ok, s.decision.code) for s in steps if node in s.sources]


def test_a_batch_norm_that_was_folded_away_is_explained_under_its_own_name() -> None:
    executable, steps = explained("conv_block", "gpu")
    norm = next(n for n in executable.compiled.graph.nodes if n.op == "BatchNormalization")
    found = about(steps, norm.id)

    assert found[:2] == [
        ("fold-batch-norm", True, "pass:rewrote"),
        ("fold-batch-norm", True, "pass:merged"),
    ]
    assert ("fusion", True, "vertical:epilogue") in found
    assert found[-1] == ("kernels", True, "kernel:deep.product+epilogue")


def test_stages_stand_in_the_order_of_the_flow_and_every_decision_is_there() -> None:
    executable, steps = explained("bert_layer", "npu")
    rank = {"import": 0, "fusion": 2, "kernels": 3}
    order = [rank.get(step.stage, 1) for step in steps]
    assert order == sorted(order)

    decisions = executable.compiled.schedule.decisions
    assert [s.decision for s in steps if s.decision in decisions] == list(decisions)
    bound = [s for s in steps if s.stage == "kernels" and s.decision.ok]
    assert len(bound) >= len(executable.compiled.schedule.bindings)


def test_an_op_that_the_chip_refuses_goes_to_the_host_with_the_reason() -> None:
    _, steps = explained("bert_layer", "npu")
    found = about(steps, "layer.gelu.erf")

    assert [f for f in found if f[0] == "kernels"] == [
        ("kernels", False, "select:split"),
        ("kernels", False, "kernel:device"),
        ("kernels", True, "kernel:host"),
    ]


def test_each_kernel_that_was_asked_before_the_one_that_has_the_group_says_why_not() -> None:
    _, steps = explained("bert_layer", "gpu", kernels="basic", fusion="none")
    kernels = [s for s in steps if s.stage == "kernels" and "layer.q.matmul" in s.sources]

    assert [(s.decision.ok, s.decision.code) for s in kernels] == [
        (False, "kernel:basic.move"),
        (True, "kernel:basic.product"),
    ]
    assert kernels[0].decision.why == "MatMul computes"
    assert "native, loops parallel" in kernels[1].decision.why
    assert kernels[1].decision.numbers["onchip_bytes"] > 0


def test_a_node_of_the_model_that_became_several_says_so() -> None:
    graph = compiled("gpt2", "gpu", "none").compiled.graph
    parts = [n for n in graph.nodes if n.id != n.source[0]]
    steps = list(history(compiled("gpt2", "gpu", "none"), []))
    decomposed = {s.sources[0] for s in steps if s.decision.code == "import:decomposed"}
    assert decomposed == {n.source[0] for n in parts}


def test_a_folded_node_is_known_and_an_unknown_one_gets_a_hint() -> None:
    graph = compiled("gpt2", "gpu", "vertical").compiled.graph
    for node in graph.folded:
        check_node(graph, node)
    with pytest.raises(UnknownName, match=f"did you mean '{graph.nodes[0].source[0]}'"):
        check_node(graph, graph.nodes[0].source[0] + "x")


def test_explain_on_the_command_line_names_the_node_and_its_time(run: Call) -> None:
    code, out, _ = run("explain", SMALL[0], "layer.q.add", *SMALL[1:], "-f", "pattern")

    assert code == 0
    assert out.startswith("layer.q.add of bert_layer: ")
    assert max(map(len, out.splitlines())) <= 80
    assert "kernel:deep.op" in out


def test_all_decisions_come_as_json_with_key_and_number_after_set(run: Call) -> None:
    code, out, _ = run("explain", *SMALL, "batch=2", "--explain-all", "--json", "-f", "pattern")
    found = json.loads(out)

    assert code == 0
    assert (found["schema"], found["model"], found["node"]) == ("emu.explain/1", "bert_layer", None)
    keys = {"stage", "ok", "code", "why", "nodes", "sources", "numbers"}
    assert all(set(decision) == keys for decision in found["decisions"])
    codes = {decision["code"] for decision in found["decisions"]}
    assert {"pattern:layer-norm", "kernel:deep.norm", "pass:rewrote"} <= codes


def test_decisions_of_one_node_are_a_part_of_all(run: Call) -> None:
    one = json.loads(run("explain", SMALL[0], "layer.q.add", *SMALL[1:], "--json")[1])
    everything = json.loads(run("explain", *SMALL, "--explain-all", "--json")[1])

    wanted = [d for d in everything["decisions"] if "layer.q.add" in d["sources"]]
    assert one["node"] == "layer.q.add"
    assert one["decisions"] == wanted


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["layer.gelu.erff"], "did you mean 'layer.gelu.erf'"),
        ([], "name a node of the model, or say --explain-all"),
        (["layer.q.add", "--explain-all"], "KEY=N"),
    ],
)
def test_what_cannot_be_explained_is_one_line_and_exit_2(
    run: Call, arguments: list[str], said: str
) -> None:
    code, out, err = run("explain", "bert_layer", *arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_no_node_at_all_is_a_bad_option_from_python_too() -> None:
    from emu.flags import ModelFlags, Request, StackFlags
    from emu.studies.explain import explain

    with pytest.raises(BadOption, match="name a node"):
        explain(Request("mlp", ModelFlags(), StackFlags()), None, everything=False, as_json=False)
