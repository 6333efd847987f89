"""What was decided for a graph is remembered for graphs that are alike, and for no other."""

import pytest

from emu.dump import Watch
from emu.fastest import fastest
from emu.ir.graph import Graph
from emu.kernels.libraries import LIBRARIES
from emu.models.model import Model
from emu.models.zoo.draft import Draft
from emu.pipeline import Executable, compile


def spelled(half: float) -> Model:
    """x * (1 + erf(x / sqrt(2))) * half: five nodes, a GELU for one half only."""
    draft = Draft("spelled")
    x = draft.input("x", (4, 8))
    scaled = draft.node("Div", "div", x, draft.number("sqrt2", 2**0.5))
    erf = draft.node("Erf", "erf", scaled)
    shifted = draft.node("Add", "add", erf, draft.number("one", 1.0))
    product = draft.node("Mul", "mul", x, shifted)
    draft.node("Mul", "out", product, draft.number("half", half))
    return draft.finish({"out": (4, 8)})


def made(model: Model | str, fusion: str = "pattern") -> Executable:
    return compile(model, device="gpu", fusion=fusion)


def test_graphs_that_differ_in_a_constant_only_are_decided_apart() -> None:
    groups = [len(made(spelled(half)).compiled.fused.groups) for half in (0.5, 0.25, 0.5)]

    assert groups == [1, 5, 1]


@pytest.mark.parametrize("fusion", ["none", "vertical", "global"])
def test_an_equal_graph_gets_equal_groups_around_its_own_weights(fusion: str) -> None:
    first, second = (made("mlp", fusion).compiled for _ in range(2))

    assert second.fused.groups == first.fused.groups
    assert second.schedule.decisions == first.schedule.decisions
    assert second.container == first.container
    assert second.fused.graph is second.lowered
    assert second.schedule.graph is second.lowered


def test_a_given_library_stands_for_the_one_of_the_stack() -> None:
    executable = made("mlp", "vertical")
    graph: Graph = executable.compiled.lowered
    stack, chip = executable.compiled.stack, executable.chip
    shallow = fastest(graph, stack, chip, Watch(), library=LIBRARIES["basic"])

    assert all(b.kernel.startswith(("basic.", "generated.")) for b in shallow[1].bindings)
    assert fastest(graph, stack, chip, Watch())[1] == executable.compiled.schedule
