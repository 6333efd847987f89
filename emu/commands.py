"""What the commands do, behind the flags."""

import json as json_text
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emu.as_json import run_json
from emu.dump import Watch, time_table, watch
from emu.execute import EXECUTORS
from emu.files import check_writable, read_arrays, write_arrays
from emu.ir.errors import BadOption, EmuError, UnknownName
from emu.ir.passes import PASSES
from emu.ir.text import (
    print_fused,
    print_graph,
    print_program,
    print_schedule,
    print_schedule_tiles,
)
from emu.models.export import export as export_model
from emu.models.zoo import zoo_models
from emu.pipeline import Executable, compile, is_path, open_model
from emu.report import report

MOST_DIGITS = 18
LEVELS = ("graph", "fused", "kernel", "tile", "device")


@dataclass(frozen=True)
class Flags:
    """The flags that say what is compiled, and what is shown on the way."""

    model: str
    device: str
    fusion: str
    kernels: str
    passes: str | None
    array_model: str
    settings: tuple[str, ...]
    dims: tuple[str, ...]
    more: tuple[str, ...]
    print_after: tuple[str, ...]
    print_after_all: bool
    dump: Path | None
    time_passes: bool


@dataclass(frozen=True)
class ValueFlags:
    """The flags that say which values are computed, and how."""

    executor: str
    inputs: Path | None
    outputs: Path | None
    seed: int
    values: bool
    check: bool


def compiled(flags: Flags) -> tuple[Executable, Watch]:
    """Compile what the flags say."""
    looking = watch(PASSES, flags.print_after, flags.print_after_all, flags.dump)
    zoo = {model.name: model for model in zoo_models()}
    settings, dims = list(flags.settings), list(flags.dims)
    (settings if flags.model in zoo else dims).extend(flags.more)
    if dims and flags.model in zoo:
        raise BadOption(f"--dim {dims[0]}: '{flags.model}' is a zoo model; it has --set")
    if settings and flags.model not in zoo and is_path(flags.model):
        raise BadOption(f"--set {settings[0]}: '{flags.model}' is a file; it has --dim")
    executable = compile(
        flags.model,
        device=flags.device,
        fusion=flags.fusion,
        kernels=flags.kernels,
        passes=None if flags.passes is None else _names(flags.passes),
        array_model=flags.array_model,
        settings=numbers("--set", settings),
        dims=numbers("--dim", dims),
        watch=looking,
    )
    return executable, looking


def run(flags: Flags, values: ValueFlags, as_json: bool) -> None:
    """Compile, run, report; raises EmuError after the report if the values are wrong."""
    _check(values)
    given = None if values.inputs is None else read_arrays(values.inputs)
    executable, looking = compiled(flags)
    with looking.timed("values and check"):
        result = executable.run(
            given,
            seed=values.seed,
            values=values.values,
            check=values.check,
            executor=values.executor,
        )
    if values.outputs is not None and result.outputs is not None:
        write_arrays(values.outputs, result.outputs)
    print(json_text.dumps(run_json(result), allow_nan=False) if as_json else report(result))
    _tell_times(flags, looking)
    if result.check is not None and not result.check.ok:
        raise EmuError(f"the values are not as {result.check}")


def _check(values: ValueFlags) -> None:
    """Refuse at once what would otherwise only be refused when all is computed."""
    if values.executor not in EXECUTORS:
        raise UnknownName("executor", values.executor, EXECUTORS)
    if not values.values and (values.inputs or values.outputs):
        raise BadOption("--no-values: there are no inputs or outputs then")
    if values.outputs is not None:
        check_writable(values.outputs)


def show(flags: Flags, level: str) -> None:
    """Print one level of the flow."""
    if level not in LEVELS:
        raise UnknownName("level", level, LEVELS)
    executable, looking = compiled(flags)
    found = executable.compiled
    text = {
        "graph": lambda: print_graph(found.lowered),
        "fused": lambda: print_fused(found.fused),
        "kernel": lambda: print_schedule(found.schedule),
        "tile": lambda: print_schedule_tiles(found.schedule),
        "device": lambda: print_program(found.program),
    }[level]()
    print(text)
    _tell_times(flags, looking)


def export(name: str, output: Path, settings: Iterable[str]) -> None:
    """Write a model of the zoo, or of a file with all of its weights."""
    chosen = numbers("--set", settings)
    if chosen and is_path(name):
        raise BadOption(f"--set {next(iter(chosen))}: '{name}' is a file, which has no settings")
    for path in export_model(open_model(name, chosen), output):
        print(f"wrote {path} ({path.stat().st_size / 1e6:,.1f} MB)")


def numbers(flag: str, pairs: Iterable[str]) -> Mapping[str, int]:
    """Return KEY=N pairs; raise BadOption for anything else, and for a key given twice."""
    found: dict[str, int] = {}
    for pair in pairs:
        key, equals, number = pair.partition("=")
        if not equals or not key or not number.isascii() or not number.isdigit():
            raise BadOption(f"{flag} {pair}: write KEY=N with a whole number N")
        if len(number) > MOST_DIGITS:
            raise BadOption(f"{flag} {key}: a number has at most {MOST_DIGITS} digits")
        if key in found:
            raise BadOption(f"{flag} {pair}: '{key}' is given twice")
        found[key] = int(number)
    return found


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _tell_times(flags: Flags, looking: Watch) -> None:
    if flags.time_passes:
        print("\n".join(time_table(looking.timings)), file=sys.stderr)
