"""The whole stack on one screen: a model goes in at the top, a run comes out at the bottom."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

from emu.devices.device import Device
from emu.devices.driver import Isa, Loader, encode, load
from emu.dtype import in_dtype
from emu.dump import Watch
from emu.executing.bounds import check_run, computing
from emu.executing.values import compute
from emu.executing.walk import Walk, prepare
from emu.fastest import fastest
from emu.foreign import is_path
from emu.ir.errors import BadOption, NoKernel, UnknownName
from emu.ir.fusion import SCOPES, decider_of
from emu.ir.graph import Graph
from emu.ir.group import Fused
from emu.ir.layout import LAYOUTS
from emu.ir.ops.decide import HOST_ONLY
from emu.ir.passes import DEFAULT_PASSES, run_passes
from emu.ir.precision import DTYPES
from emu.ir.program import Program
from emu.ir.schedule import Schedule
from emu.ir.trace import Trace
from emu.ir.types import Array
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Library
from emu.layouts import lay_out
from emu.models.limits import LIMITS, UNLIMITED, Limits
from emu.models.model import Model
from emu.models.reader import read_model, to_graph
from emu.models.zoo import build
from emu.run import Compiled, Run
from emu.stack import DEVICE, Chip, Choices, Compiler, Stack
from emu.tuning.database import TuningDatabase, open_tunings

TILINGS = ("heuristic", "exhaustive", "tuned")
FALLBACKS = ("generated", "composed", "host")
SWITCH = ("off", "on")


def compile(
    model: str | Path | Model,
    *,
    settings: Mapping[str, int] | None = None,
    dims: Mapping[str, int] | None = None,
    watch: Watch | None = None,
    calibration: Mapping[str, Array] | None = None,
    tuning_db: Path | None = None,
    limits: Limits = LIMITS,
    samples: Mapping[str, Any] | None = None,
    **choices: Unpack[Choices],
) -> "Executable":
    """Bring a model (a zoo name, a path to an .onnx file, or a Model) down to a device binary.

    ``settings`` are those of a zoo builder, ``dims`` bind symbolic dimensions of a file, and
    ``choices`` replace those of the neutral stack. ``calibration`` are inputs that int8 and fp8
    take their scales from when values are computed, random ones if None. ``tuning_db`` is the file
    that tilings are looked up in and kept in; it goes with ``tiling`` "tuned". ``limits`` bound
    what a file may be and ask for. Where only values say which shapes there are, those that occur
    for the inputs ``samples`` are compiled for; raises DataDependent if there are none.
    """
    watch = watch or Watch()
    stack = make_stack(**choices)
    database = tunings(stack.compiler, tuning_db)
    chip = stack.device.make()

    with watch.timed("read"):
        opened = open_model(model, settings or {}, limits)  # name or file -> model
    with watch.timed("import"):
        graph = to_graph(opened, dims or {}, samples)  # model -> graph
    return bring_down(opened, graph, stack, chip, watch, calibration, database)


def bring_down(
    opened: Model,
    graph: Graph,
    stack: Stack,
    chip: Device,
    watch: Watch,
    calibration: Mapping[str, Array] | None = None,
    database: TuningDatabase | None = None,
    library: Library | None = None,
    passed: Graph | None = None,
) -> "Executable":
    """Compile a graph that stands for ``opened``: passes, fusion, kernels, commands, binary.

    A ``library`` stands for the one that the stack names; ``passed`` is what the stack's passes
    made of the graph before.
    """
    lowered = passed or run_passes(graph, stack.compiler.passes, watch)  # graph -> graph
    lowered = in_dtype(lowered, stack.compiler.dtype, chip, watch, calibration)  # graph -> graph
    _must_have_elements(lowered)
    lowered = lay_out(
        lowered, stack.compiler.layout, library or LIBRARIES[stack.kernels], chip, watch
    )  # graph -> graph
    best = lower(lowered, stack, chip, watch, database, library)  # graph -> program and trace
    return Executable(Compiled(opened, stack, graph, lowered, *best), chip)


def make_stack(**choices: Unpack[Choices]) -> Stack:
    """Return the neutral stack with some choices replaced; raises UnknownName for no such choice.

    Without ``passes`` it has the default ones, and none at all for fusion "none".
    """
    scope = _known("fusion scope", choices.get("fusion", "vertical"), SCOPES)
    passes = choices.get("passes")
    default = () if scope == "none" else DEFAULT_PASSES
    trials = choices.get("trials", 0)
    compiler = Compiler(
        passes=default if passes is None else tuple(passes),
        scope=scope,
        decider=decider_of(scope, choices.get("decider")),
        trials=trials,
        dtype=_known("dtype", choices.get("dtype", "fp32"), DTYPES),
        layout=_known("layout", choices.get("layout", "auto"), LAYOUTS),
        tiling=_known("tiling", choices.get("tiling") or _tiling(trials), TILINGS),
        fallback=_known("fallback", choices.get("fallback", "generated"), FALLBACKS),
        over_capacity=choices.get("over_capacity", False),
        residency=_known("residency", choices.get("residency", "off"), SWITCH),
        graph_replay=_known("graph replay", choices.get("graph_replay", "off"), SWITCH),
    )
    kernels = _known("kernel library", choices.get("kernels", "deep"), LIBRARIES)
    facts = tuple(choices.get("facts", ()))
    chip = Chip(str(choices.get("device", DEVICE)), choices.get("array_model", "native"), facts)
    return Stack(compiler, kernels, chip)


def _tiling(trials: int) -> str:
    return "tuned" if trials else "exhaustive"


def tunings(compiler: Compiler, path: Path | None) -> TuningDatabase | None:
    """Open the file of tunings; raises BadOption if it does not go with how tiles are chosen."""
    if compiler.trials < 0:
        raise BadOption(f"--tune-trials {compiler.trials}: a number of tilings is 0 or more")
    if compiler.tiling != "tuned" and (compiler.trials or path):
        flag = f"--tuning-db {path}" if path else f"--tune-trials {compiler.trials}"
        raise BadOption(f"{flag}: goes with --tiling tuned, not with {compiler.tiling}")
    if compiler.tiling == "tuned" and not (compiler.trials or path):
        raise BadOption("--tiling tuned: needs --tune-trials N, or --tuning-db F to look up in")
    return None if path is None else open_tunings(path, writable=compiler.trials > 0)


def _known(kind: str, name: str, names: Iterable[str]) -> str:
    if name not in (known := tuple(names)):
        raise UnknownName(kind, name, known)
    return name


def open_model(
    model: str | Path | Model, settings: Mapping[str, int], limits: Limits = LIMITS
) -> Model:
    """Return the model of a zoo name, or of a path."""
    if isinstance(model, Model):
        return model
    if isinstance(model, Path) or is_path(model):
        return read_model(Path(model), limits)
    return build(model, settings)


def _must_have_elements(graph: Graph) -> None:
    """Raise NoKernel for a node that computes, or computes from, no elements at all.

    The host knows what to do with nothing.
    """
    computed = {*graph.inputs, *graph.producer}
    empty = {value for value in computed if not graph.types[value].elements}
    for node in (n for n in graph.nodes if n.op not in HOST_ONLY):
        for value in sorted(empty.intersection((*node.inputs, *node.outputs))):
            kind = f"{graph.types[value]}, which has no elements"
            raise NoKernel(f"node '{node.id}' ({node.op}): no kernel for '{value}', {kind}")


Lowered = tuple[Fused, Schedule, bytes, Program, Trace]


def lower(
    graph: Graph,
    stack: Stack,
    chip: Device,
    watch: Watch | None = None,
    database: TuningDatabase | None = None,
    library: Library | None = None,
) -> Lowered:
    """Fuse, bind, plan, encode, load and time."""
    watch = watch or Watch()
    fused, schedule, planned = fastest(
        graph, stack, chip, watch, database, library
    )  # graph -> schedule
    isa = Isa(chip.name)
    with watch.timed("encode"):
        container = encode(planned, isa)  # schedule -> binary
    with watch.timed("load"):
        program = load(container, Loader(isa))  # binary -> program
    with watch.timed("simulate"):
        trace = chip.simulate(program)  # program -> trace
    return fused, schedule, container, program, trace


@dataclass(frozen=True)
class Executable:
    """A compiled model that can be run."""

    compiled: Compiled
    chip: Device

    @cached_property
    def _walk(self) -> Walk:
        bindings = self.compiled.schedule.bindings
        tilewise = frozenset(i for i, binding in enumerate(bindings) if binding.tilewise)
        return prepare(self.compiled.program, self.compiled.lowered, tilewise)

    @cached_property
    def _is_foreign(self) -> bool:
        """Whether somebody else made the model, whose values have bounds, which are looked at once.

        Raises OverLimit.
        """
        limits = self.compiled.model.limits
        if limits is UNLIMITED:
            return False
        check_run(self.compiled.lowered, limits)
        return True

    @cached_property
    def _spread(self) -> dict[int, Walk]:
        return {}

    def walk(self, threads: int = 1) -> Walk:
        """The program made ready for the fast executor, once for each number of threads."""
        if threads not in self._spread:
            self._spread[threads] = self._walk.spread(threads)
        return self._spread[threads]

    def run(
        self,
        inputs: Mapping[str, Array] | None = None,
        *,
        seed: int = 0,
        values: bool = True,
        check: bool = True,
        executor: str = "fast",
        threads: int = 1,
    ) -> Run:
        """Compute the values (random inputs of ``seed`` unless given), and check them.

        The values have the same bits on any number of ``threads``.
        Without ``values`` only the price is there, and no weight is ever made.
        """
        if not values:
            return Run(self.compiled, None, None, None)
        with computing(self.compiled.model.origin) if self._is_foreign else nullcontext():
            return compute(
                self.compiled, self.chip, self.walk, inputs, seed, check, executor, threads
            )
