"""What emu prints is well formed, and upstream MLIR, where it is installed, parses it."""

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.graph import Graph, Node
from emu.ir.group import Decision, Fused, Group
from emu.ir.program import Program
from emu.ir.schedule import Schedule
from emu.ir.text import (
    print_fused,
    print_graph,
    print_program,
    print_schedule,
    print_schedule_tiles,
)
from emu.ir.types import TensorType

NOISE = re.compile(r'"(?:[^"\\]|\\\\|\\[0-9A-F]{2})*"|^//.*$|->', re.MULTILINE)
CLOSING = {")": "(", "]": "[", "}": "{", ">": "<"}


def assert_balanced(text: str) -> None:
    """Every bracket outside of strings and comments is closed by its like."""
    stack: list[str] = []
    for mark in re.findall(r"[()\[\]{}<>]", NOISE.sub("", text)):
        if mark in CLOSING:
            assert stack.pop() == CLOSING[mark], text
        else:
            stack.append(mark)
    assert stack == [], text


def assert_defined(text: str) -> None:
    """Every value is defined once, before it is used, in its function."""
    for function in text.split('"func.func"')[1:]:
        known: set[str] = set()
        for line in NOISE.sub("", function).splitlines():
            left, equals, right = line.partition(" = ")
            new = re.findall(r"%[\w.$]+", left) if equals and left.strip()[0] == "%" else []
            new += re.findall(r"(%[\w.$]+):", line) if "^bb0" in line else []
            used = set(re.findall(r"%[\w.$]+", right if new else line)) - set(new)
            assert used <= known, line
            assert known.isdisjoint(new), line
            known.update(new)


@st.composite
def hostile(draw: st.DrawFn) -> Fused:
    """A chain of nodes with names of any characters, cut into a group per node."""
    words = st.text(min_size=1, max_size=8) | st.text(alphabet='"\\/\n1_a%', min_size=1)
    names = draw(st.lists(words, min_size=2, max_size=6, unique=True))
    nodes = tuple(
        Node(b, "Relu", (a, "", a), (b,), {"mode": a, "eps": 1e-5}, (a, b))
        for a, b in pairwise(names)
    )
    types = dict.fromkeys(names, TensorType("f32", (2, 3)))
    graph = Graph(names[0], (names[0],), (names[-1],), nodes, types, {}, tuple(names))
    groups = tuple(Group(f"g{n.id}", (n.id,), n.inputs[:1], n.outputs) for n in nodes)
    return Fused(graph.verify(), "none", groups, (Decision(True, "c", names[0], tuple(names)),))


@settings(deadline=None, max_examples=60)
@given(hostile())
def test_names_of_any_characters_leave_the_text_well_formed(fused: Fused) -> None:
    for text in (print_graph(fused.graph), print_fused(fused)):
        assert_balanced(text)
        assert_defined(text)


def test_every_level_is_well_formed(fused: Fused, schedule: Schedule, program: Program) -> None:
    for text in _levels(fused, schedule, program):
        assert_balanced(text)
        assert_defined(text)


def _levels(fused: Fused, schedule: Schedule, program: Program) -> tuple[str, ...]:
    return (
        print_graph(fused.graph),
        print_fused(fused),
        print_schedule(schedule),
        print_schedule_tiles(schedule),
        print_program(program),
    )


@pytest.fixture(scope="module")
def mlir() -> Any:
    return pytest.importorskip("torch_mlir.ir", reason="upstream MLIR is not installed")


def assert_parses(mlir: Any, text: str) -> None:
    """Upstream MLIR parses and verifies the text, and what it prints of it parses again."""
    with mlir.Context() as context:
        context.allow_unregistered_dialects = True
        printed = str(mlir.Module.parse(text).operation)
        assert str(mlir.Module.parse(printed).operation) == printed


def test_mlir_parses_every_level(
    mlir: Any, fused: Fused, schedule: Schedule, program: Program
) -> None:
    for text in _levels(fused, schedule, program):
        assert_parses(mlir, text)


@settings(deadline=None, max_examples=40)
@given(fused=hostile())
def test_mlir_parses_names_of_any_characters(mlir: Any, fused: Fused) -> None:
    assert_parses(mlir, print_graph(fused.graph))
    assert_parses(mlir, print_fused(fused))
