"""The cells of a ladder: one model on one stack each, priced, and checked if there is an oracle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from emu.capacity import excess_of
from emu.commands import calibration, choices, shape_of
from emu.dump import Watch
from emu.executing.reference import onnxruntime_outputs
from emu.executing.values import compare, tolerance_of
from emu.flags import Request, StackFlags, limits_of
from emu.ir.errors import EmuError, VerifyError
from emu.ir.graph import Graph
from emu.ir.types import Array
from emu.models.inputs import random_inputs
from emu.models.limits import Limits
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.pipeline import Executable, bring_down, make_stack, open_model, tunings

Pairs = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Cell:
    """A rung of the ladder; ``refused`` says why there are no numbers, if there are none.

    ``values_ok`` is None where no values were made; ``over_capacity`` says what does not fit.
    """

    device: str
    fusion: str
    kernels: str
    latency_ps: int | None = None
    groups: int | None = None
    dram_bytes: int | None = None
    values_ok: bool | None = None
    refused: str = ""
    over_capacity: str = ""


@dataclass(frozen=True)
class Oracle:
    """Inputs, and the outputs that onnxruntime computes from them."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Task:
    """Cells of one device and one library, which share what is known of its kernels.

    Without an ``oracle`` no values are made, else on so many ``threads``.
    """

    asked: Request
    scopes: tuple[str, ...]
    oracle: Oracle | None
    threads: int = 1


def oracle_of(asked: Request) -> Oracle:
    """What every cell is compared with: the model as given, on random inputs, by onnxruntime."""
    opened, graph = _opened(asked)
    inputs = random_inputs(graph, seed=0)
    return Oracle(inputs, onnxruntime_outputs(opened, inputs))


def must_open(asked: Request) -> str:
    """The name of the model; raises what is wrong with it, or with its settings."""
    return _opened(asked)[0].name


def cells(task: Task) -> tuple[Cell, ...]:
    """Work out the cells of a task, in the order of its scopes."""
    return tuple(_cell(task, replace(task.asked.stack, fusion=scope)) for scope in task.scopes)


def _cell(task: Task, flags: StackFlags) -> Cell:
    empty = Cell(flags.device, flags.fusion, flags.kernels)
    try:
        executable = _executable(replace(task.asked, stack=flags))
        ok = None if task.oracle is None else _is_equal(executable, task.oracle, task.threads)
    except VerifyError:
        raise
    except EmuError as error:
        return replace(empty, refused=" ".join(str(error).split()))
    trace = executable.compiled.trace
    return replace(
        empty,
        latency_ps=trace.total_ps,
        groups=len(executable.compiled.schedule.bindings),
        dram_bytes=trace.did.traffic.total,
        values_ok=ok,
        over_capacity=str(excess_of(executable.compiled) or ""),
    )


def _executable(asked: Request) -> Executable:
    opened, graph = _opened(asked)
    stack = make_stack(**choices(asked.stack))
    chip = stack.device.make()
    database = tunings(stack.compiler, asked.stack.tuning_db)
    inputs = calibration(asked.stack)
    return bring_down(opened, graph, stack, chip, Watch(), inputs, database)


def _is_equal(executable: Executable, oracle: Oracle, threads: int) -> bool:
    made = executable.run(oracle.inputs, check=False, threads=threads).outputs
    allowed = tolerance_of(executable.compiled)
    return made is not None and compare(made, oracle.outputs, allowed).ok


def _opened(asked: Request) -> tuple[Model, Graph]:
    settings, dims = (tuple(sorted(pairs.items())) for pairs in shape_of(asked))
    limits = limits_of(asked.shape.limits, asked.shape.more)
    return _imported(asked.model, settings, dims, limits)


@lru_cache(maxsize=1)
def _imported(model: str, settings: Pairs, dims: Pairs, limits: Limits) -> tuple[Model, Graph]:
    """A model and its graph, read once by each process."""
    opened = open_model(model, dict(settings), limits)
    return opened, to_graph(opened, dict(dims))
