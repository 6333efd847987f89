"""One small graph at every level, shared by the tests of the text of each level."""

from types import MappingProxyType

import numpy as np
import pytest

from emu.ir.body import body_of
from emu.ir.graph import Constant, Graph, Node
from emu.ir.group import Decision, Fused, Group
from emu.ir.program import Alloc, Copy, Free, HostCall, Launch, Program, Wait
from emu.ir.schedule import Binding, Schedule
from emu.ir.tile import (
    WHOLE,
    Axis,
    Buffer,
    Compute,
    Fill,
    Load,
    Loop,
    Nest,
    Operand,
    Store,
    TileProgram,
    View,
)
from emu.ir.types import TensorType, type_of

IMAGE = TensorType("f32", (1, 4, 8, 8))
FILTER = TensorType("f32", (4, 4, 3, 3))


def small(*parts: float) -> Constant:
    """A float constant that is part of the model's text."""
    array = np.array(parts, np.float32).reshape(() if len(parts) == 1 else (-1,))
    return Constant(type_of(array), "k", lambda: array, array)


@pytest.fixture
def graph() -> Graph:
    """A conv without bias, a clip without lower bound, and a split."""
    conv = Node(
        "conv",
        "Conv",
        ("x", "w"),
        ("y",),
        MappingProxyType({"strides": (1, 1), "pads": (1, 1, 1, 1), "group": 1}),
        ("conv", "bn"),
    )
    clip = Node("clip", "Clip", ("y", "", "six"), ("z",), source=("clip",))
    split = Node("split", "Split", ("z",), ("a", "b"), {"axis": 1}, ("split",))
    half = TensorType("f32", (1, 2, 8, 8))
    constants = {
        "w": Constant(FILTER, "seed:w", lambda: np.zeros(FILTER.dims, np.float32)),
        "six": small(6),
    }
    types = {"x": IMAGE, "y": IMAGE, "z": IMAGE, "a": half, "b": half}
    types |= {name: constant.type for name, constant in constants.items()}
    nodes = (conv, clip, split)
    return Graph("tiny", ("x",), ("a", "b"), nodes, types, constants, ("bn",)).verify()


@pytest.fixture
def fused(graph: Graph) -> Fused:
    """The conv with its clip, and the split alone."""
    groups = (
        Group("conv_clip", ("conv", "clip"), ("x", "w", "six"), ("z",)),
        Group("split", ("split",), ("z",), ("a", "b")),
    )
    decisions = (
        Decision(True, "epilogue", "elementwise after an anchor", ("conv", "clip")),
        Decision(False, "opaque", "a split is a wall", ("clip", "split"), {"bytes": 2048}),
    )
    return Fused(graph, "vertical", groups, decisions)


@pytest.fixture
def tiles() -> TileProgram:
    """A 3 x 3 conv, four rows at a time."""
    rows = Axis(0)
    return TileProgram(
        name="conv",
        views=(View(IMAGE, "input", 0), View(FILTER, "weight", 1), View(IMAGE, "output", 3)),
        loops=(Loop(8, 4, parallel=True), Loop(4, 2)),
        buffers=(
            Buffer(0, (WHOLE, Axis(1), Axis(0, 1, -1, 3), WHOLE), depth=2),
            Buffer(1, (WHOLE, Axis(1), WHOLE, WHOLE)),
            Buffer(2, (WHOLE, WHOLE, rows, WHOLE)),
        ),
        steps=(
            Nest(0, (Fill(2, 0.0), Nest(1, (Load(0, 0), Load(1, 0), _conv())), Store(2, 2, 1))),
        ),
    )


def _conv() -> Compute:
    window = (Axis(0), WHOLE, Axis(2, 1, -1, 3), Axis(3, 1, -1, 3))
    ins = (Operand(0, window), Operand(1, (Axis(1), WHOLE, WHOLE, WHOLE)), None)
    attrs = (("group", 1), ("pads", (1, 1, 1, 1)))
    return Compute("Conv", attrs, ins, out=2, kind="matrix", node=0, accumulate=True)


@pytest.fixture
def schedule(fused: Fused, tiles: TileProgram) -> Schedule:
    """The conv bound to a library kernel, the split left to the host."""
    graph, (first, second) = fused.graph, fused.groups
    inside = [body_of(graph, [graph.by_id[n] for n in g.nodes]) for g in fused.groups]
    conv = Binding(first, inside[0], "deep.conv", "native", tiles, "3x3 conv", tilewise=True)
    split = Binding(second, inside[1], "host", "host", None, "no kernel for Split")
    return Schedule(graph, (conv, split), fused.decisions)


@pytest.fixture
def program(schedule: Schedule, tiles: TileProgram) -> Program:
    """The commands of the schedule."""
    conv, split = schedule.bindings
    commands = (
        Alloc("z", 256, 1024),
        Launch(0, "deep.conv", ("x", "w", "six"), ("z",), conv.body, tiles),
        Wait(),
        Copy("z", "host", 1024),
        HostCall(1, "host", ("z",), ("a", "b"), split.body),
        Free("z"),
    )
    return Program("tiny", "npu", ("x",), ("a", "b"), commands, peak_bytes=1280)
