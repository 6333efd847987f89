"""``emu ladder``: one model on every rung: a fusion scope, a library depth and a device."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from emu.commands import choices, device_of
from emu.devices.datasheet import generic_names, load_datasheet
from emu.devices.make import make_device
from emu.executing.values import EXECUTORS, check_threads
from emu.files import check_writable
from emu.flags import Request, StackFlags
from emu.ir.errors import BadOption, EmuError, UnknownName, Unsupported
from emu.ir.fusion import SCOPES
from emu.ir.passes import PASSES
from emu.ir.replacing import replacing
from emu.kernels.libraries import DEPTHS, LIBRARIES
from emu.pipeline import make_stack
from emu.pool import finished
from emu.progress import progress
from emu.studies.ladder_report import ladder_csv, ladder_json, report
from emu.studies.rungs import Cell, Task, cells, must_open, oracle_of

ALL = "all"
STDOUT = "-"


@dataclass(frozen=True)
class LadderFlags:
    """What a ladder does beside pricing its cells: check values, and write them as CSV."""

    values: bool
    csv: str | None
    as_json: bool
    threads: int = 1


def ladder(asked: Request, flags: LadderFlags) -> None:
    """Print the ladder; raises EmuError after it if values differ, Unsupported if all is refused.

    In the stack that is asked for, device, fusion and kernels are ``all`` or names with commas.
    """
    _check(flags)
    found = climb(asked, values=flags.values, threads=flags.threads)
    model = must_open(asked)
    if flags.csv not in (None, STDOUT):
        _write(Path(flags.csv), ladder_csv(found))
    if flags.as_json:
        print(json.dumps(ladder_json(model, found), allow_nan=False))
    elif flags.csv == STDOUT:
        print(ladder_csv(found), end="")
    else:
        print(report(model, found))
    _judge(found)


def _check(flags: LadderFlags) -> None:
    if flags.csv == STDOUT and flags.as_json:
        raise BadOption("--csv - and --json both print what they have; choose one of them")
    if flags.csv not in (None, STDOUT):
        check_writable("--csv", Path(flags.csv))
    check_threads(flags.threads, EXECUTORS[0])


def _judge(found: Sequence[Cell]) -> None:
    """Raise what the exit code is to say of the cells."""
    wrong = [_place(cell) for cell in found if cell.values_ok is False]
    if wrong:
        raise EmuError(f"the values are not as onnxruntime's in {', '.join(wrong)}")
    if all(cell.refused for cell in found):
        raise Unsupported(f"every cell is refused, {_place(found[0])} since {found[0].refused}")


def _place(cell: Cell) -> str:
    return f"{cell.device}/{cell.fusion}/{cell.kernels}"


def climb(
    asked: Request, *, values: bool, workers: int | None = None, threads: int = 1
) -> tuple[Cell, ...]:
    """All cells in the order of devices, scopes and depths, by as many processes as there are CPUs.

    The values of each are computed on so many ``threads``.

    Raises UnknownName for no such device, scope, library or other choice, and what opening the
    model raises.
    """
    axes = _axes(asked)
    _check_names(asked.stack, axes[1])
    must_open(asked)
    tasks = [replace(task, threads=threads) for task in _tasks(asked, axes, values)]
    found = {_key(cell): cell for cell in _all_cells(tasks, workers)}
    devices, scopes, libraries = axes
    return tuple(found[d, s, k] for d in devices for s in scopes for k in libraries)


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.device, cell.fusion, cell.kernels


def _axes(asked: Request) -> tuple[tuple[str, ...], ...]:
    """The devices, scopes and libraries of a ladder."""
    stack, depths = asked.stack, [library.name for library in DEPTHS]
    devices = _devices(stack)
    for device in devices:
        load_datasheet(device)
    scopes = _known("fusion scope", _names("--fusion", stack.fusion, SCOPES), SCOPES)
    libraries = _names("--kernels", stack.kernels, depths)
    return devices, scopes, _known("kernel library", libraries, LIBRARIES)


def _devices(stack: StackFlags) -> tuple[str, ...]:
    """The names of the devices, or the one file."""
    if stack.device_file is not None:
        return (str(device_of(stack)),)
    return _names("--device", stack.device, generic_names())


def _check_names(stack: StackFlags, scopes: Iterable[str]) -> None:
    """Raise UnknownName for a name that is none; what only some cells refuse is theirs to tell."""
    for scope in scopes:
        with suppress(BadOption, Unsupported):
            made = make_stack(**choices(replace(stack, fusion=scope, kernels=DEPTHS[0].name)))
            _known("pass", made.compiler.passes, PASSES)


def _names(flag: str, text: str, every: Iterable[str]) -> tuple[str, ...]:
    """The names of an axis: all there are, or those between commas, each once."""
    if text == ALL:
        return tuple(every)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise BadOption(f"{flag} '{text}': write {ALL}, or names with commas")
    return names


def _known(kind: str, names: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    for name in names:
        if name not in (every := tuple(known)):
            raise UnknownName(kind, name, every)
    return names


def _tasks(asked: Request, axes: tuple[tuple[str, ...], ...], values: bool) -> list[Task]:
    """A task for each device and library, those first that have most to try: cores, then tiles."""
    devices, scopes, libraries = axes
    oracle = oracle_of(asked) if values else None
    stacks = [
        replace(asked.stack, device=device, device_file=None, kernels=library)
        for device in sorted(devices, key=_counts_of_cores, reverse=True)
        for library in reversed(libraries)
    ]
    return [Task(replace(asked, stack=stack), scopes, oracle) for stack in stacks]


def _counts_of_cores(device: str) -> int:
    """How many counts of cores are tried for a whole run on a device."""
    machine = make_device(device).machine
    return 1 if machine.grid else machine.cores


def _all_cells(tasks: Sequence[Task], workers: int | None) -> list[Cell]:
    with progress("cells", sum(len(task.scopes) for task in tasks)) as step:
        found: list[Cell] = []
        for _, done in finished(cells, tasks, workers):
            found += done
            for _ in done:
                step()
        return found


def _write(path: Path, text: str) -> None:
    try:
        with replacing(path) as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise BadOption(f"--csv {path}: cannot be written: {error.strerror}") from error
