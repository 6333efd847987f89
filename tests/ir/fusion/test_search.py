"""The search decider against all groupings that there are, and against the other deciders."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.errors import CapacityError
from emu.ir.fusion import DECIDERS, SCOPES, decide, refusal
from emu.ir.fusion.changes import applied, changes
from emu.ir.fusion.cut import cut
from emu.ir.fusion.deciders.priority import partition_of
from emu.ir.fusion.deciders.runs import DOES_NOT_FIT_PS, Runs
from emu.ir.fusion.deciders.search import Budget, search
from emu.ir.fusion.exact import groupings, tail_of
from emu.ir.fusion.pricing import Quote
from emu.ir.fusion.space import Space
from emu.ir.fusion.structure import Partition
from emu.ir.graph import Graph
from emu.ir.group import Decision, Fused
from tests.ir.fusion.exhaustive import every_grouping
from tests.ir.fusion.graph_text import graph_of, numbered

BLOCK = """
a = Conv x w1
b = Relu a
c = Conv b w2
d = Relu c
g = Add d x
y = Relu g
"""
ATTENTION = """
s = MatMul q k
d = Div s 8
p = Softmax d
o = MatMul p v
"""
DIAMOND = """
t = MatMul x w
l = Sigmoid t
r = Tanh t
y = Mul l r
"""
SIBLINGS = """
q = MatMul x wq
k = MatMul x wk
v = MatMul x wv
a = Relu q
b = Add k v
y = Mul a b
"""
SMALL = {"block": BLOCK, "attention": ATTENTION, "diamond": DIAMOND, "siblings": SIBLINGS}
OPS = st.sampled_from(("Relu", "Add", "MatMul", "Softmax", "Transpose"))


@dataclass
class Clock:
    """A device of two queues: a launch loads, then computes while the next one loads.

    How long either takes is drawn from the nodes of the group and ``seed``.
    """

    graph: Graph
    seed: int = 0
    runs: list[int] = field(default_factory=list[int])

    def drawn(self, ids: tuple[str, ...]) -> tuple[int, int]:
        digest = blake2b(f"{self.seed} {' '.join(ids)}".encode(), digest_size=2).digest()
        return digest[0] + 1, digest[1] + 1

    def alone(self, nodes: Sequence[int], worth_ps: int | None = None) -> Quote:
        del worth_ps
        return Quote(sum(self.drawn(tuple(self.graph.nodes[i].id for i in nodes))), True)

    def run(self, fused: Fused) -> int:
        self.runs.append(len(fused.groups))
        loaded = computed = 0
        for group in fused.groups:
            load, compute = self.drawn(group.nodes)
            loaded += load
            computed = max(loaded, computed) + compute
        return computed


class Layers(Clock):
    """The same, but what a group takes depends on its ops alone: equal layers are equal."""

    def drawn(self, ids: tuple[str, ...]) -> tuple[int, int]:
        return super().drawn(tuple(self.graph.by_id[i].op for i in ids))


def said(fused: Fused, code: str) -> list[Decision]:
    return [d for d in fused.decisions if d.code == code]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", SMALL)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 1000))
def test_search_finds_what_an_exhaustive_enumeration_finds(
    name: str, scope: str, seed: int
) -> None:
    graph = graph_of(SMALL[name])
    clock = Clock(graph, seed)
    found = decide(graph, scope, "search", clock)

    assert clock.run(found) == min(map(clock.run, every_grouping(graph, scope)))
    assert said(found, "search:proved")[-1].numbers["run_ps"] == clock.run(found)


@settings(deadline=None, max_examples=25)
@given(
    drawn=st.lists(st.tuples(OPS, st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6),
    scope=st.sampled_from(SCOPES),
)
def test_every_grouping_of_a_random_graph_is_visited_once(
    drawn: list[tuple[str, int, int]], scope: str
) -> None:
    binary = ("Add", "MatMul")
    ops = [
        (op, (i - 1 - a % (i + 1), i - 1 - b % (i + 1)) if op in binary else (i - 1 - a % (i + 1),))
        for i, (op, a, b) in enumerate(drawn)
    ]
    graph = numbered(ops)
    visited = list(groupings(Space(graph), scope, lambda tail: True))
    expected = {frozenset(partition_of(fused)) for fused in every_grouping(graph, scope)}

    assert len(visited) == len(expected)
    assert set(map(frozenset, visited)) == expected


@pytest.mark.parametrize("name", SMALL)
def test_a_tail_is_never_longer_than_a_run_that_ends_with_it(name: str) -> None:
    graph = graph_of(SMALL[name])
    space = Space(graph)
    runs = Runs(space, Clock(graph))
    seen = 0
    for partition in groupings(space, "global", lambda tail: True):
        for length in range(1, len(partition)):
            bound = runs.at_least("global", partition[:length])
            seen += bound > 0
            assert bound <= runs.price("global", partition)
    assert seen


def test_a_tail_that_others_read_bounds_nothing() -> None:
    graph = graph_of(DIAMOND)

    assert tail_of(graph, (0, 3)) is None
    assert Runs(Space(graph), Clock(graph)).at_least("vertical", ((0,), (3,))) == 0


def layers(count: int) -> Graph:
    lines = (
        f"m{i} = MatMul {f'a{i - 1}' if i else 'x'} w\nb{i} = Add m{i} w\na{i} = Relu b{i}"
        for i in range(count)
    )
    return graph_of("\n".join(lines))


@pytest.mark.parametrize("scope", SCOPES)
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 1000))
def test_search_is_never_worse_than_another_decider_or_a_smaller_scope(
    scope: str, seed: int
) -> None:
    graph = layers(8)
    clock = Layers(graph, seed)
    found = clock.run(decide(graph, scope, "search", clock))

    for decider in DECIDERS:
        if not refusal(scope, decider):
            assert found <= clock.run(decide(graph, scope, decider, clock))
    for smaller in SCOPES[: SCOPES.index(scope)]:
        assert found <= clock.run(decide(graph, smaller, "search", clock))


def test_a_large_graph_is_not_proved_and_says_why() -> None:
    graph = layers(8)
    found = decide(graph, "global", "search", Layers(graph))

    assert not said(found, "search:proved")
    (best,) = said(found, "search:best")
    assert "not proved" in best.why
    assert best.numbers["run_ps"] == Layers(graph).run(found)


def test_the_budget_ends_the_search() -> None:
    graph = layers(8)
    found = search(Space(graph), "vertical", Layers(graph, 3), Budget(launches=0))

    assert any("budget" in d.why for d in said(found, "search:best"))


def test_a_proof_that_would_visit_too_much_is_given_up() -> None:
    graph = graph_of(BLOCK)
    found = search(Space(graph), "global", Clock(graph), Budget(visited=2))

    assert not said(found, "search:proved")
    assert said(found, "search:best")


def test_twelve_equal_layers_are_one_change() -> None:
    graph = layers(12)
    space = Space(graph)
    found = list(changes(space, "vertical", space.singles, Layers(graph)))
    merged = applied(space, space.singles, found[0])

    assert [len(change.steps) for change in found] == [12, 12]
    assert len(merged) == len(space.singles) - 12


def test_a_change_that_cannot_be_made_everywhere_is_made_where_it_can() -> None:
    graph = graph_of("a = Relu x\nb = Relu a\nc = Relu b\nd = Relu c")
    space = Space(graph)
    change = next(iter(changes(space, "vertical", space.singles, Clock(graph))))

    assert [step.new for step in change.steps] == [((0, 1),), ((1, 2),), ((2, 3),)]
    assert applied(space, space.singles, change) == ((0, 1), (2, 3))


def test_a_refused_change_carries_the_numbers_of_both_runs() -> None:
    graph = layers(8)
    found = decide(graph, "vertical", "search", Layers(graph, 3))
    tried = [d for d in found.decisions if d.code in ("search:merge", "search:cut")]

    assert tried
    for decision in tried:
        assert decision.ok == (decision.numbers["run_ps"] < decision.numbers["without_ps"])
        assert {"before_ps", "after_ps"} <= set(decision.numbers)


def test_what_does_not_fit_the_memory_loses_to_what_does() -> None:
    graph = graph_of(DIAMOND)

    class Tight(Clock):
        def run(self, fused: Fused) -> int:
            if len(fused.groups) > 1:
                raise CapacityError("only one launch fits")
            return super().run(fused)

    space = Space(graph)
    assert Runs(space, Tight(graph)).price("none", space.singles) == DOES_NOT_FIT_PS
    assert len(decide(graph, "vertical", "search", Tight(graph)).groups) == 1


def test_a_change_never_makes_groups_wait_in_a_circle() -> None:
    # The two products as siblings, and the two Relus as others, would need each other.
    graph = graph_of("a = MatMul x w1\nb = Relu a\nc = Relu y\nd = MatMul c w1\nz = Add b d")
    space = Space(graph)
    partition: Partition = space.singles
    for change in changes(space, "horizontal", partition, Clock(graph)):
        partition = applied(space, partition, change)
        assert len(cut(graph, "horizontal", partition, ()).groups) == len(partition)


def test_what_another_decider_made_and_search_did_not_is_refused_with_both_runs() -> None:
    graph = graph_of(SIBLINGS)
    refused: list[Decision] = []
    for seed in range(12):
        found = decide(graph, "global", "search", Clock(graph, seed))
        refused += said(found, "search:slower")
        for decision in said(found, "search:slower"):
            assert not decision.ok
            assert decision.numbers["best_ps"] <= decision.numbers["run_ps"]
            assert decision.nodes not in {group.nodes for group in found.groups}
    assert refused


def test_only_the_scope_that_was_asked_for_speaks_of_its_start_and_its_proof() -> None:
    found = decide(graph_of(BLOCK), "global", "search", Clock(graph_of(BLOCK)))

    assert len(said(found, "search:start")) == len(said(found, "search:proved")) == 1
