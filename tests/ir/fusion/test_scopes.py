"""Scopes by name, and the counts and bytes that other compilers give for the same models."""

from functools import cache

import numpy as np
import pytest

from emu.ir.errors import BadOption, UnknownName
from emu.ir.fusion import DECIDERS, DEFAULT_DECIDER, SCOPE_SAYS, SCOPES, decide, decider_of, refusal
from emu.ir.graph import Graph
from emu.ir.group import Fused
from emu.ir.passes import DEFAULT_PASSES, run_passes
from emu.ir.traffic import boundary_bytes
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.ir.fusion.graph_text import graph_of, groups_of
from tests.ir.passes.planting import Sketch


@cache
def graph(model: str, *passes: str) -> Graph:
    return run_passes(to_graph(build(model, {}), {}), passes)


def activations_mb(fused: Fused) -> float:
    crossing = boundary_bytes(fused)
    return round((crossing.activations_read + crossing.activations_written) / 1e6, 1)


def weights_mb(fused: Fused) -> float:
    return round(boundary_bytes(fused).weights / 1e6, 1)


def test_every_scope_says_what_it_is() -> None:
    assert tuple(SCOPE_SAYS) == SCOPES


def test_scope_none_has_a_group_per_node_and_no_decisions() -> None:
    fused = decide(graph_of("a = Conv x w\nb = Relu a"), "none")
    assert groups_of(fused) == ["a", "b"]
    assert fused.decisions == ()


def test_an_unknown_scope_says_what_is_near() -> None:
    with pytest.raises(UnknownName, match="did you mean 'vertical'"):
        decide(graph_of("a = Relu x"), "verticle")


@pytest.mark.parametrize(("scope", "decider"), [("global", None), ("pattern", "priority")])
def test_what_depends_on_a_device_is_refused_without_one(scope: str, decider: str | None) -> None:
    with pytest.raises(BadOption, match="need a device"):
        decide(graph_of("a = Conv x w1\nb = Relu a\nc = Conv b w2"), scope, decider)


def test_an_unknown_decider_says_what_is_near() -> None:
    with pytest.raises(UnknownName, match="did you mean 'greedy'"):
        decider_of("vertical", "greddy")


@pytest.mark.parametrize("scope", ["pattern", "global"])
def test_post_dominators_are_refused_where_they_decide_nothing(scope: str) -> None:
    assert refusal(scope, "post-dominator")
    with pytest.raises(BadOption, match="try first-match, priority, greedy"):
        decider_of(scope, "post-dominator")


def test_every_scope_has_a_default_decider_that_serves_it() -> None:
    assert tuple(DEFAULT_DECIDER) == SCOPES
    assert [decider_of(scope) for scope in SCOPES] == list(DEFAULT_DECIDER.values())
    assert all(DECIDERS[name].about for name in DEFAULT_DECIDER.values())


def test_group_names_are_short_and_unique() -> None:
    fused = decide(graph("bert_layer", *DEFAULT_PASSES), "vertical")
    names = [group.name for group in fused.groups]
    assert len(set(names)) == len(names)
    assert names[10] == "add+sqrt+..+add.10"
    assert max(map(len, names)) < 50


@pytest.mark.parametrize(
    ("passes", "scope", "groups", "activations", "weights"),
    [
        ((), "none", 175, 323.6, 102.4),
        (("fold-batch-norm",), "none", 122, 234.7, 102.1),
        (DEFAULT_PASSES, "pattern", 89, 201.9, 102.1),
        (DEFAULT_PASSES, "vertical", 57, 113.6, 102.1),
    ],
)
def test_resnet50_has_the_groups_and_bytes_of_the_ladder(
    passes: tuple[str, ...], scope: str, groups: int, activations: float, weights: float
) -> None:
    fused = decide(graph("resnet50", *passes), scope)
    assert len(fused.groups) == groups
    assert activations_mb(fused) == activations
    assert weights_mb(fused) == weights


@pytest.mark.parametrize(
    ("scope", "decider", "groups"),
    [
        ("none", "first-match", 49),
        ("pattern", "first-match", 28),
        ("vertical", "post-dominator", 17),
        ("horizontal", "post-dominator", 15),
    ],
)
def test_bert_layer_has_the_groups_that_other_compilers_make(
    scope: str, decider: str, groups: int
) -> None:
    assert len(decide(graph("bert_layer"), scope, decider).groups) == groups
    assert len(decide(graph("bert_layer", *DEFAULT_PASSES), scope, decider).groups) == groups


@cache
def attention_core(seq: int) -> Graph:
    """softmax(Q K / 8) V of 12 heads x 64 in f16, with K transposed already."""
    sketch = Sketch("f16")
    q, v = (sketch.input(name, (1, 12, seq, 64)) for name in "qv")
    scores = sketch.add("MatMul", q, sketch.input("k", (1, 12, 64, seq)))
    scaled = sketch.add("Div", scores, sketch.constant(np.array(8.0), inline=True))
    return sketch.graph(sketch.add("MatMul", sketch.add("Softmax", scaled), v))


@pytest.mark.parametrize(
    ("seq", "none", "vertical"), [(128, 3.1, 2.4), (2048, 616.6, 415.2), (8192, 9714.0, 6492.8)]
)
def test_attention_moves_six_and_four_score_matrices(
    seq: int, none: float, vertical: float
) -> None:
    graph = attention_core(seq)
    assert activations_mb(decide(graph, "none")) == none
    assert activations_mb(decide(graph, "vertical")) == vertical
