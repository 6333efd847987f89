"""Scopes by name, and the counts and bytes that other compilers give for the same models."""

from functools import cache

import pytest

from emu.ir.errors import BadOption, UnknownName
from emu.ir.fusion import SCOPE_SAYS, SCOPES, Region, fuse, merge, regions
from emu.ir.graph import Graph
from emu.ir.group import Fused
from emu.ir.passes import DEFAULT_PASSES, run_passes
from emu.ir.traffic import boundary_bytes
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.ir.fusion.graph_text import graph_of, groups_of


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
    fused = fuse(graph_of("a = Conv x w\nb = Relu a"), "none")
    assert groups_of(fused) == ["a", "b"]
    assert fused.decisions == ()


def test_an_unknown_scope_says_what_is_near() -> None:
    with pytest.raises(UnknownName, match="did you mean 'vertical'"):
        fuse(graph_of("a = Relu x"), "verticle")


def test_scope_global_needs_a_device() -> None:
    with pytest.raises(BadOption, match="needs a device"):
        fuse(graph_of("a = Relu x"), "global")


def test_group_names_are_short_and_unique() -> None:
    fused = fuse(graph("bert_layer", *DEFAULT_PASSES), "vertical")
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
    fused = fuse(graph("resnet50", *passes), scope)
    assert len(fused.groups) == groups
    assert activations_mb(fused) == activations
    assert weights_mb(fused) == weights


@pytest.mark.parametrize(("scope", "groups"), [("none", 49), ("pattern", 28), ("vertical", 17)])
def test_bert_layer_has_the_groups_that_other_compilers_make(scope: str, groups: int) -> None:
    assert len(fuse(graph("bert_layer"), scope).groups) == groups
    assert len(fuse(graph("bert_layer", *DEFAULT_PASSES), scope).groups) == groups


def test_a_chain_per_bottleneck_leaves_eighteen_groups_and_few_bytes() -> None:
    fused = fuse(graph("resnet50", *DEFAULT_PASSES), "vertical")
    merged = merge(fused, blocks(fused))
    assert len(merged.groups) == 18
    assert activations_mb(merged) == 46.4


def blocks(fused: Fused) -> list[Region]:
    """Every bottleneck, the stem with its pool, and pool to Gemm, from the candidates."""
    sizes = {3: "add", 4: "add", 2: "maxpool"}
    chosen: list[Region] = []
    taken: set[int] = set()
    for region in sorted(regions(fused), key=lambda r: -len(r.groups)):
        sink = fused.groups[region.groups[-1]]
        first = fused.groups[region.groups[0]]
        tail = region.kind == "tail" and first.name.startswith("globalaveragepool")
        block = sizes.get(len(region.groups), "none") in sink.name and _whole(fused, region)
        if (tail or block) and taken.isdisjoint(region.groups):
            chosen.append(region)
            taken.update(region.groups)
    return chosen


def _whole(fused: Fused, region: Region) -> bool:
    """Whether no inner group is itself the end of a block."""
    names = [fused.groups[g].name for g in region.groups[:-1]]
    return not any("add" in name or "pool" in name for name in names)


def test_attention_of_bert_is_a_candidate_of_three_groups() -> None:
    fused = fuse(graph("bert_layer", *DEFAULT_PASSES), "vertical")
    three = [r for r in regions(fused) if r.kind == "attention" and len(r.groups) == 3]
    ops = [
        [fused.graph.by_id[n].op for g in r.groups for n in fused.groups[g].nodes] for r in three
    ]
    assert ["MatMul", "Div", "Softmax", "MatMul", "Transpose", "Reshape"] in ops
