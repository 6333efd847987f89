"""What the commands do, behind the flags."""

import json as json_text
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from emu.as_json import run_json
from emu.capacity import excess_of
from emu.dump import Watch, time_table, watch
from emu.executing.values import EXECUTORS, check_threads
from emu.files import check_writable, read_arrays, write_arrays
from emu.flags import LookFlags, Request, StackFlags, is_limit, limits_of, numbers
from emu.foreign import is_path
from emu.free import Freed, free, freed_json, freed_report, parse_causes
from emu.ir.errors import BadOption, DataDependent, EmuError, NotConstant, UnknownName, Unsupported
from emu.ir.graph import Graph
from emu.ir.passes import PASSES
from emu.ir.precision import PRECISION_PASSES
from emu.ir.text import (
    print_fused,
    print_graph,
    print_program,
    print_schedule,
    print_schedule_tiles,
)
from emu.ir.types import Array
from emu.kept import KeptModel, KeptRun, keep
from emu.layouts import LAYOUT_PASS
from emu.models.dims import bind_inputs
from emu.models.export import export as export_model
from emu.models.inputs import random_inputs
from emu.models.known_inputs import with_known
from emu.models.limits import Limits
from emu.models.model import Model
from emu.models.zoo import zoo_models
from emu.pipeline import Executable, compile, open_model
from emu.progress import progress
from emu.report import report
from emu.run import Run
from emu.stack import DEVICE, Choices
from emu.studies.run_file import write_run
from emu.trace_events import write_trace

LEVELS = ("graph", "fused", "kernel", "tile", "device")


@dataclass(frozen=True)
class ValueFlags:
    """The flags that say which values are computed, and how."""

    executor: str
    inputs: Path | None
    outputs: Path | None
    seed: int
    values: bool
    check: bool
    threads: int = 1


@dataclass(frozen=True)
class AfterFlags:
    """The flags that say what is done with a run: causes to free, files for it and its trace."""

    free: str | None
    output: Path | None
    trace: Path | None = None


Bring = Callable[[Request, Watch], Executable]


def compiled(
    asked: Request, look: LookFlags, bring: Bring | None = None
) -> tuple[Executable, Watch]:
    """Compile what the flags ask for, on a stack that ``bring`` knows or the neutral one."""
    known = (*PASSES, *PRECISION_PASSES, LAYOUT_PASS)
    looking = watch(known, look.print_ir_after or (), look.print_ir_after_all, look.dump_ir)
    return (bring or compile_asked)(asked, looking), looking


def compile_asked(
    asked: Request,
    looking: Watch,
    samples: Mapping[str, Array] | None = None,
    known: Mapping[str, Array] | None = None,
) -> Executable:
    """Compile a model on a stack, both as flags name them; say on stderr what does not fit.

    The inputs ``samples`` say which shapes occur where only values can; what inputs are ``known``
    the program follows from.
    """
    settings, dims = shape_of(asked)
    executable = compile(
        with_known(opened(asked), known) if known else asked.model,
        settings={} if known else settings,
        dims=dims,
        watch=replace(looking, bar=progress),
        calibration=calibration(asked.stack),
        tuning_db=asked.stack.tuning_db,
        limits=limits_of(asked.shape.limits, asked.shape.more),
        samples=samples,
        **choices(asked.stack),
    )
    return tell_excess(executable)


def tell_excess(executable: Executable) -> Executable:
    """Say on stderr what of a program does not fit the device but is priced."""
    if excess := excess_of(executable.compiled):
        print(f"emu: {executable.compiled.model.name} {excess}", file=sys.stderr)
    return executable


def shape_of(asked: Request) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """The settings of a zoo model and the dimensions of a file, one of which is empty."""
    is_zoo = asked.model in {model.name for model in zoo_models()}
    settings, dims = list(asked.shape.set_ or ()), list(asked.shape.dim or ())
    more = [w for w in asked.shape.more or () if not (asked.shape.limits and is_limit(w))]
    (settings if is_zoo else dims).extend(more)
    if dims and is_zoo:
        raise BadOption(f"--dim {dims[0]}: '{asked.model}' is a zoo model; it has --set")
    if settings and not is_zoo and is_path(asked.model):
        raise BadOption(f"--set {settings[0]}: '{asked.model}' is a file; it has --dim")
    return numbers("--set", settings), numbers("--dim", dims)


def calibration(flags: StackFlags) -> Mapping[str, Array] | None:
    """The inputs to calibrate with, None for random ones."""
    return None if flags.calibration is None else read_arrays(flags.calibration, "--calibration")


def choices(flags: StackFlags) -> Choices:
    """The choices of the stack flags; with a database of tunings, tiles are tuned by default.

    Raises BadOption for two devices.
    """
    return Choices(
        device=device_of(flags),
        facts=() if flags.set_device is None else tuple(flags.set_device.split(",")),
        fusion=flags.fusion,
        decider=flags.decider,
        kernels=flags.kernels,
        passes=None if flags.passes is None else _names(flags.passes),
        array_model=flags.array_model,
        dtype=flags.dtype,
        layout=flags.layout,
        tiling=flags.tiling or (None if flags.tuning_db is None else "tuned"),
        trials=flags.tune_trials,
        fallback=flags.fallback,
        over_capacity=flags.over_capacity,
        residency=flags.residency,
        graph_replay=flags.graph_replay,
    )


def device_of(flags: StackFlags) -> str | Path:
    """The device of the stack flags, by name or file; raises BadOption if they say two."""
    if flags.device_file is None:
        return flags.device
    if flags.device != DEVICE:
        raise BadOption(f"--device {flags.device}: not with --device-file {flags.device_file}")
    return flags.device_file


def run(
    asked: Request,
    look: LookFlags,
    values: ValueFlags,
    after: AfterFlags,
    as_json: bool,
    bring: Bring | None = None,
) -> None:
    """Compile, run, report; raises EmuError after the report if the values are wrong."""
    _check(values)
    causes = () if after.free is None else parse_causes(after.free)
    if after.output is not None:
        check_writable("--output", after.output)
    if after.trace is not None:
        check_writable("--trace", after.trace)
    given = None if values.inputs is None else read_arrays(values.inputs)
    executable, looking, given = compiled_for(asked, look, values, given, bring)
    with looking.timed("values and check"):
        result = executable.run(
            given,
            seed=values.seed,
            values=values.values,
            check=values.check,
            executor=values.executor,
            threads=values.threads,
        )
    if values.outputs is not None and result.outputs is not None:
        write_arrays(values.outputs, result.outputs)
    if after.output is not None:
        write_run(after.output, kept(result, asked))
    if after.trace is not None:
        write_trace(after.trace, result.compiled)
    freed = free(result.compiled, executable.chip, causes) if causes else None
    print(_json(result, freed) if as_json else _text(result, freed))
    _tell_times(look, looking)
    if result.check is not None and not result.check.ok:
        raise EmuError(f"the values are not as {result.check}")


Given = Mapping[str, Array] | None
For = tuple[Executable, Watch, Given]


def compiled_for(
    asked: Request, look: LookFlags, values: ValueFlags, given: Given, bring: Bring | None
) -> For:
    """Compile what the flags ask for, and say which of the inputs ``given`` it still takes.

    Inputs that a rule has to know, like a shape or a condition, become part of the program. Raises
    Unsupported where they are not given.
    """
    known: dict[str, Array] = {}
    while True:
        rest = None if given is None else {n: a for n, a in given.items() if n not in known}
        try:
            return _compiled_knowing(asked, look, values, known, rest, bring)
        except NotConstant as error:
            if bring is not None:
                raise
            if rest is None or error.value not in rest:
                said = f"{error}; if it is an input, give it with --inputs F.npz"
                raise Unsupported(said) from error
            known[error.value] = rest[error.value]


def _compiled_knowing(
    asked: Request,
    look: LookFlags,
    values: ValueFlags,
    known: Mapping[str, Array],
    given: Given,
    bring: Bring | None,
) -> For:
    """Compile for ``known`` inputs; where values decide, for those of given or random inputs."""
    try:
        return *compiled(asked, look, bring or partial(compile_asked, known=known)), given
    except DataDependent:
        if bring is not None or not values.values:
            raise
    given = given or sampled(asked, known, values.seed)
    return *compiled(asked, look, partial(compile_asked, known=known, samples=given)), given


def sampled(asked: Request, known: Mapping[str, Array], seed: int) -> Mapping[str, Array]:
    """Random inputs of a model whose graph is not known yet, as the shapes follow from values."""
    model, (_, dims) = with_known(opened(asked), known), shape_of(asked)
    types = bind_inputs(model, dims)
    return random_inputs(Graph(model.name, tuple(types), (), (), types, {}), seed)


def opened(asked: Request) -> Model:
    """The model that flags name, not compiled yet."""
    settings, _ = shape_of(asked)
    return open_model(asked.model, settings, limits_of(asked.shape.limits, asked.shape.more))


def kept(result: Run, asked: Request) -> KeptRun:
    """What is kept of a run that was asked for by flags."""
    model = KeptModel(result.compiled.model.name, asked.model, *shape_of(asked))
    return keep(result.compiled, model, None if result.check is None else result.check.ok)


def _json(result: Run, freed: Freed | None) -> str:
    found = run_json(result)
    if freed is not None:
        found["free"] = freed_json(freed)
    return json_text.dumps(found, allow_nan=False)


def _text(result: Run, freed: Freed | None) -> str:
    return report(result) if freed is None else f"{report(result)}\n\n{freed_report(freed)}"


def _check(values: ValueFlags) -> None:
    """Refuse at once what would otherwise only be refused when all is computed."""
    if values.executor not in EXECUTORS:
        raise UnknownName("executor", values.executor, EXECUTORS)
    check_threads(values.threads, values.executor)
    if not values.values and (values.inputs or values.outputs):
        raise BadOption("--no-values: there are no inputs or outputs then")
    if values.outputs is not None:
        check_writable("--outputs", values.outputs)


def show(asked: Request, look: LookFlags, level: str, trace: Path | None = None) -> None:
    """Print one level of the flow, and write the ``trace`` of its run."""
    if level not in LEVELS:
        raise UnknownName("level", level, LEVELS)
    if trace is not None:
        check_writable("--trace", trace)
    executable, looking = compiled(asked, look)
    found = executable.compiled
    text = {
        "graph": lambda: print_graph(found.lowered),
        "fused": lambda: print_fused(found.fused),
        "kernel": lambda: print_schedule(found.schedule),
        "tile": lambda: print_schedule_tiles(found.schedule),
        "device": lambda: print_program(found.program),
    }[level]()
    print(text)
    if trace is not None:
        write_trace(trace, found)
    _tell_times(look, looking)


def export(name: str, output: Path, settings: Iterable[str], limits: Limits) -> None:
    """Write a model of the zoo, or of a file with all of its weights."""
    chosen = numbers("--set", settings)
    if chosen and is_path(name):
        raise BadOption(f"--set {next(iter(chosen))}: '{name}' is a file, which has no settings")
    for path in export_model(open_model(name, chosen, limits), output):
        print(f"wrote {path} ({path.stat().st_size / 1e6:,.1f} MB)")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _tell_times(look: LookFlags, looking: Watch) -> None:
    if look.time_passes:
        print("\n".join(time_table(looking.timings)), file=sys.stderr)
