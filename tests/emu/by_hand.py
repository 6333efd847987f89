"""A run made by hand: a conv with its relu on the device, and a split that the host computes."""

from dataclasses import replace

import numpy as np
import onnx

from emu.ir.body import body_of
from emu.ir.graph import Constant, Graph, Node
from emu.ir.group import Decision, Fused, Group
from emu.ir.ops import Work
from emu.ir.program import Program
from emu.ir.schedule import Binding, Schedule
from emu.ir.tile import TileProgram
from emu.ir.trace import Footprint, Launched, Trace, Traffic
from emu.ir.types import TensorType
from emu.models.model import Model
from emu.run import Check, Compiled, Run
from emu.stack import Chip, Compiler, Stack

IMAGE = TensorType("f32", (1, 64, 32, 32))
FILTER = TensorType("f32", (64, 64, 1, 1))
HALF = TensorType("f32", (1, 32, 32, 32))
CHARGES = (
    {(0, "useful"): 300_000, (0, "compulsory"): 1_500_000, (1, "launch"): 200_000},
    {(0, "link"): 7_000_000, (0, "host"): 999_999, (0, "wait"): 1},
)
REFUSED = Decision(
    False, "global:cost", "apart is faster", ("conv", "split"), {"fused_ps": 9, "apart_ps": 8}
)


def graph() -> Graph:
    nodes = (
        Node("conv", "Conv", ("x", "w"), ("y",), {"group": 1}, ("conv", "bn")),
        Node("relu", "Relu", ("y",), ("z",), source=("relu",)),
        Node("split", "Split", ("z",), ("a", "b"), {"axis": 1}, ("split",)),
    )
    weight = Constant(FILTER, "w", lambda: np.zeros(FILTER.dims, np.float32))
    types = {"x": IMAGE, "w": FILTER, "y": IMAGE, "z": IMAGE, "a": HALF, "b": HALF}
    made = Graph("hand", ("x",), ("a", "b"), nodes, types, {"w": weight}, ("dropped",))
    return made.verify()


def fused() -> Fused:
    groups = (
        Group("conv+relu.0", ("conv", "relu"), ("x", "w"), ("z",)),
        Group("split.1", ("split",), ("z",), ("a", "b")),
    )
    return Fused(graph(), "global", groups, ())


def schedule() -> Schedule:
    whole = fused()
    by_id = whole.graph.by_id
    first, second = (body_of(whole.graph, [by_id[n] for n in g.nodes]) for g in whole.groups)
    tiles = TileProgram("deep.product+epilogue", (), (), (), ())
    conv = Binding(whole.groups[0], first, "deep.product+epilogue", "native", tiles, "claimed")
    split = Binding(whole.groups[1], second, "host", "host", None, "nobody claims it")
    accepted = Decision(True, "global:cost", "faster", ("conv", "relu"))
    no_kernel = replace(REFUSED, code="global:no-kernel", numbers={})
    return Schedule(whole.graph, (conv, split), (accepted, REFUSED, no_kernel))


def trace() -> Trace:
    on_chip = Footprint(
        Traffic(compulsory=300_000, intermediate=262_144, reload=1_000),
        onchip_bytes=1_000_000,
        work=Work(8_454_144, 10),
        peak_onchip_bytes=20_000_000,
        cores=1,
        array_cycles=512,
    )
    on_host = Footprint(link_bytes=524_288)
    return Trace(
        10_000_000,
        (
            Launched(0, 0, 2_000_000, CHARGES[0], on_chip),
            Launched(1, 2_000_000, 10_000_000, CHARGES[1], on_host),
        ),
        peak_device_bytes=2_000_000,
    )


def compiled() -> Compiled:
    stack = Stack(Compiler(("fold-batch-norm",), "global", "priority"), "deep", Chip("systolic"))
    program = Program("hand", "systolic", ("x",), ("a", "b"), (), 2_000_000)
    model = Model("hand", onnx.ModelProto(), {}, "zoo")
    return Compiled(model, stack, graph(), graph(), fused(), schedule(), b"", program, trace())


def run(error: float = 2e-7) -> Run:
    """Checked values whose relative error is ``error``."""
    value = np.zeros(HALF.dims, np.float32)
    check = Check("onnxruntime", 10 * error, error, 1e-4)
    return Run(compiled(), {}, {"a": value, "b": value}, check)
