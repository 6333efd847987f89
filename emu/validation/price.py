"""What emu predicts for a case: the model compiled once, and run on its chip."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from emu.devices.arrays import NATIVE
from emu.devices.device import Device
from emu.devices.driver import plan
from emu.devices.facts import Changes
from emu.devices.make import make_device
from emu.dtype import in_dtype
from emu.dump import Watch
from emu.fastest import fastest
from emu.ir.body import body_of
from emu.ir.errors import EmuError
from emu.ir.graph import Graph
from emu.ir.group import Fused, Group
from emu.ir.passes import run_passes
from emu.ir.program import Copy, HostCall, Program
from emu.ir.trace import Trace
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Library
from emu.layouts import lay_out
from emu.models.reader import to_graph
from emu.pipeline import make_stack
from emu.select import Selector
from emu.validation.cases import US, Case
from emu.validation.counters import counters
from emu.validation.workloads import CHAINS, OPS, Workload, model_of, narrow_borders, op_graph


@dataclass(frozen=True, slots=True)
class Prediction:
    """The time of a case in ps and its causes; ``refused`` says why it has none.

    ``on_host`` says whether something of it runs on the host or is copied.
    """

    ps: float = 0.0
    ledger: Mapping[str, int] | None = None
    refused: str = ""
    on_host: bool = False


@dataclass(frozen=True, slots=True)
class Compiled:
    """All that a program depends on beside the model."""

    chip: str
    changes: Changes
    dtype: str
    kernels: str
    fusion: str
    residency: str


@lru_cache(maxsize=1024)
def _program(workload: Workload, stack: Compiled) -> Program:
    """The commands of a workload; an op is one group, since a row of an op timed one kernel."""
    is_op = workload[0] in OPS
    dtype = "fp32" if is_op else stack.dtype  # the graph of an op is in its dtype already
    chosen = make_stack(
        device=stack.chip,
        dtype=dtype,
        kernels=stack.kernels,
        fusion=stack.fusion,
        residency=stack.residency,
    )
    chip = make_device(stack.chip, NATIVE, stack.changes)
    if is_op:
        return _one_kernel(op_graph(workload, stack.dtype), LIBRARIES[stack.kernels], chip)
    graph = run_passes(to_graph(model_of(workload), {}), chosen.compiler.passes, Watch())
    graph = in_dtype(graph, dtype, chip, Watch(), None)
    graph = narrow_borders(graph) if workload[0] in CHAINS else graph
    graph = lay_out(graph, chosen.compiler.layout, LIBRARIES[stack.kernels], chip, Watch())
    return fastest(graph, chosen, chip, Watch())[2]


def _one_kernel(graph: Graph, library: Library, chip: Device) -> Program:
    """The program of a graph that is one group."""
    inside = body_of(graph, graph.nodes)
    group = Group(graph.name, inside.nodes, inside.inputs, inside.outputs)
    selector = Selector(chip, library, chip.machine.cores)
    return plan(selector.schedule(Fused(graph, "row", (group,), ())), chip.machine)


def compiled(case: Case) -> Compiled:
    """What the program of a case depends on beside its workload; the case has a stack."""
    assert case.stack is not None
    row = case.stack
    return Compiled(case.chip, row.changes, case.dtype, row.kernels, row.fusion, row.residency)


def predict(case: Case, changes: Changes = ()) -> Prediction:
    """The prediction of a case that is priced; ``changes`` are other facts of its chip.

    The program is the one that was compiled for the chip as it is.
    """
    assert case.stack is not None
    assert case.workload is not None
    stack = compiled(case)
    try:
        program = _program(case.workload, stack)
        trace = make_device(case.chip, NATIVE, (*stack.changes, *changes)).simulate(program)
    except EmuError as error:
        return Prediction(refused=str(error))
    once = trace.total_ps if case.stack.timed == "run" else kernels_ps(trace)
    return Prediction(
        case.times * (once + case.called_us * US),
        {cause: case.times * ps for cause, ps in trace.ledger.items()},
        on_host=any(isinstance(command, Copy | HostCall) for command in program.commands),
    )


def counted(case: Case) -> dict[str, float]:
    """What counters of the array show while a case that is priced runs, in percent of its time."""
    assert case.stack is not None
    assert case.workload is not None
    program = _program(case.workload, compiled(case))
    chip = make_device(case.chip, NATIVE, case.stack.changes)
    holds, total = chip.holds(program, stepwise=True), chip.latency_ps(program)
    shown = counters(holds, total)
    return {name: 100 * shown[name] / total for name, _ in case.counters}


def kernels_ps(trace: Trace) -> int:
    """The launches alone, each from its start on the device to its end."""
    return sum(launch.end_ps - launch.start_ps for launch in trace.launches)
