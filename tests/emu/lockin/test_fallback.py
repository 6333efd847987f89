"""As kernels are taken away, the speed-up over the host falls, by calls and copies alone."""

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from emu.devices.datasheet import load_datasheet
from emu.ir.program import Copy, HostCall, Replay
from emu.kernels.libraries import LIBRARIES
from emu.lockin.fallback import CLASSES, CORPUS, Case, Row, cases, removals, spread, table, without
from emu.models.reader import to_graph
from emu.models.zoo import build
from emu.pipeline import compile

SHEET = load_datasheet("tt_n150")
SMALL = (("bert_layer", {"seq": 16}), ("conv_block", {"image": 14, "channels": 64}))


@cache
def found() -> tuple[Case, ...]:
    """A small part of the corpus."""
    return tuple(cases("tt_n150", "bf16", 1, SMALL))


@cache
def rows() -> dict[str, Row]:
    """The table of the small part, by what was changed."""
    return {row.what: row for row in table(found(), SHEET)}


def test_no_model_of_the_corpus_can_be_mostly_on_the_host_in_any_class() -> None:
    for model, settings in CORPUS:
        graph = to_graph(build(model, dict(settings)), {})
        assert len(graph.nodes) > CLASSES[-1][1]
        assert all(removals(graph, low, high) for low, high in CLASSES[1:])


def test_the_speed_up_falls_with_every_class_whatever_host_and_link_are() -> None:
    assert len(rows()) == 9
    for row in rows().values():
        none, few, many = row.means
        assert none > few > many
        assert min(row.falls) > 1


def test_each_model_counts_as_much_as_any_other_however_many_cases_it_has() -> None:
    twice = [*found(), *(c for c in found() if c.model == "conv_block")]
    assert table(twice, SHEET) == table(found(), SHEET)


def test_just_the_nodes_that_lost_their_kernel_are_called_on_the_host_with_copies() -> None:
    for case in found():
        calls = [c for c in case.program.commands if isinstance(c, HostCall)]
        ops = Counter(node.op for call in calls for node in call.body.nodes)
        assert set(ops) == set(case.removed)
        assert ops.total() == case.on_host
        back = [c for c in case.program.commands if isinstance(c, Copy) and c.to == "host"]
        assert len(back) >= bool(calls)


def test_the_host_alone_copies_nothing_and_computes_every_node() -> None:
    for case in found():
        assert all(isinstance(c, HostCall) for c in case.alone.commands)


def test_a_slower_host_makes_the_chip_look_faster_and_a_slower_link_the_fall_larger() -> None:
    native = rows()["as the datasheet says"]
    assert rows()["host rates x 0.5"].means[0] > native.means[0]
    assert rows()["link latency x 2"].falls > native.falls
    assert rows()["link bandwidth x 0.5"].falls > native.falls


def test_a_chip_that_replays_graphs_does_so_and_the_falls_are_larger_for_it() -> None:
    native, none = rows()["as the datasheet says"], rows()["no graphs"]
    whole = rows()["graphs of whole programs only"]
    assert native.means[0] == whole.means[0] > none.means[0]
    assert native.means[1] >= whole.means[1] == none.means[1]
    assert native.falls > none.falls
    for case in found():
        graphs = [c for c in case.program.commands if isinstance(c, Replay)]
        assert graphs
        assert case.on_host or len(graphs) == 1


def test_a_chip_that_replays_no_graphs_has_no_rows_about_them() -> None:
    sheet = replace(SHEET, launch=replace(SHEET.launch, replay_us=None))
    issued = [case.without_graphs() for case in found()]
    whats = [row.what for row in table(issued, sheet)]
    assert len(whats) == 7
    assert "no graphs" not in whats


def test_sets_of_ops_have_as_many_nodes_as_asked_and_no_product() -> None:
    graph = compile("bert_layer", fusion="none", settings={"seq": 32}).compiled.graph
    counts = Counter(node.op for node in graph.nodes)
    sets = removals(graph, 1, 5)

    assert sets
    assert all(1 <= sum(counts[op] for op in ops) <= 5 for ops in sets)
    assert "MatMul" not in {op for ops in sets for op in ops}


def test_a_library_without_an_op_claims_no_group_with_it() -> None:
    made = compile("attention", fusion="none", settings={"seq": 16}).compiled
    bodies = [b.body for b in made.schedule.bindings]
    library = without(LIBRARIES["deep"], ("Softmax",))

    for body in bodies:
        lost = any(node.op == "Softmax" for node in body.nodes)
        assert all(k.refusal(body) for k in library.kernels) is lost


def test_sets_are_taken_evenly_over_their_order() -> None:
    sets = [(name,) for name in "abcdef"]
    assert spread(sets, 2) == [("a",), ("d",)]
    assert spread(sets, 9) == sets


def test_a_model_without_a_case_in_a_class_is_refused() -> None:
    few = [case for case in found() if case.on_host < 6]
    with pytest.raises(ValueError, match="bert_layer: no case has 6 to 25 nodes on the host"):
        table(few, SHEET)


def test_a_case_with_more_nodes_on_the_host_than_any_class_has_is_refused() -> None:
    many = [replace(case, on_host=26) for case in found()]
    with pytest.raises(ValueError, match="bert_layer: 26 nodes on the host are in no class"):
        table(many, SHEET)
