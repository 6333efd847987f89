"""Normalisations of rows are known by structure: in any spelling, and nothing else is one."""

import pytest

from emu.ir.fusion.norms import row_norms
from emu.ir.fusion.space import Space
from emu.ir.fusion.structure import Structure
from emu.ir.graph import Graph
from emu.ir.spellings import SPELLINGS, respell
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.zoo.draft import Draft
from emu.models.zoo.transformer import spelled_norm

ROWS, HIDDEN = 6, 8


def norm_between_strangers() -> Graph:
    draft = Draft("norm")
    x = draft.node("Relu", "before", draft.input("x", (ROWS, HIDDEN)))
    spelled_norm(draft, "norm", x, HIDDEN)
    y = draft.node("Add", "after", "norm.add", x)
    return imported(draft.finish({y: (ROWS, HIDDEN)}))


def imported(model: Model) -> Graph:
    return to_graph(model, {})


def names(graph: Graph) -> list[list[str]]:
    return [[graph.nodes[i].id for i in nodes] for nodes in row_norms(Structure(graph))]


def test_the_nodes_of_the_usual_spelling_are_those_of_the_rule() -> None:
    graph = norm_between_strangers()
    space = Space(graph)

    assert set(row_norms(space.structure)) == set(space.hits)
    assert len(names(graph)[0]) == 9


@pytest.mark.parametrize("spelling", ["square", "reciprocal", "operands"])
def test_another_spelling_is_still_one_norm_with_the_same_ends(spelling: str) -> None:
    graph = respell(norm_between_strangers(), SPELLINGS[spelling]).graph
    (found,) = names(graph)

    assert (found[0], found[-1]) == ("norm.mean", "norm.add")
    space = Space(graph)
    assert not space.hits
    nodes = row_norms(space.structure)[0]
    assert space.legal("vertical", nodes) == ""
    assert space.legal("pattern", nodes) != ""
    assert nodes in {m.nodes for m in space.moves("vertical", space.singles)}


def test_a_value_inside_that_is_read_elsewhere_leaves_no_norm() -> None:
    draft = Draft("leak")
    spelled_norm(draft, "norm", draft.input("x", (ROWS, HIDDEN)), HIDDEN)
    draft.node("Relu", "leak", "norm.sub")
    graph = imported(draft.finish({"norm.add": (ROWS, HIDDEN), "leak": (ROWS, HIDDEN)}))
    assert names(graph) == []


def test_one_mean_or_another_dimension_is_no_norm_of_rows() -> None:
    draft = Draft("one")
    x = draft.input("x", (ROWS, HIDDEN))
    centred = draft.node("Sub", "sub", x, draft.node("ReduceMean", "mean", x, axes=(-1,)))
    other = draft.node("Sub", "sub0", x, draft.node("ReduceMean", "mean0", x, axes=(0,)))
    second = draft.node("ReduceMean", "second", draft.node("Abs", "abs", other), axes=(0,))
    y = draft.node("Div", "div", other, second)
    graph = imported(draft.finish({centred: (ROWS, HIDDEN), y: (ROWS, HIDDEN)}))
    assert names(graph) == []


def test_what_depends_on_another_value_stays_outside() -> None:
    draft = Draft("scaled")
    x = draft.input("x", (ROWS, HIDDEN))
    y = spelled_norm(draft, "norm", x, HIDDEN)
    scaled = draft.node("Mul", "scaled", y, draft.input("gate", (ROWS, HIDDEN)))
    graph = imported(draft.finish({scaled: (ROWS, HIDDEN)}))
    assert [found[-1] for found in names(graph)] == ["norm.add"]
