"""What `emu swap`, `emu lockin` and `emu show-stack` do, behind the flags."""

import json as json_text
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from emu.devices.datasheet import load_datasheet
from emu.devices.make import device_of
from emu.fastest import fewer_cores
from emu.files import check_writable
from emu.ir.errors import BadOption, EmuError
from emu.ir.replacing import replacing
from emu.lockin.as_json import lockin_json, swap_json
from emu.lockin.asked import bench_of, opened_in, replacements
from emu.lockin.catalogue import FOLDER, load_catalogue
from emu.lockin.compare import Compared, compared
from emu.lockin.cost import Mover, leaving
from emu.lockin.cost_report import cost_json, cost_text
from emu.lockin.dimension import BATCH
from emu.lockin.disarm import Disarmed, Worlds
from emu.lockin.flags import TryFlags
from emu.lockin.graph import dot_text
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import SLOTS, Bundle, Catalogue
from emu.lockin.prices import load_prices
from emu.lockin.report import cell_table, outcome_text, stack_text
from emu.lockin.session import Session
from emu.lockin.shared import Shared
from emu.lockin.sizes import SizeRun, parse_sizes, run_sizes, size_json, sizes_text
from emu.lockin.stacked import catalogue_of, known_stack
from emu.pool import finished
from emu.progress import progress

Cell = tuple[Outcome, tuple[str, ...]]
Texts = tuple[str, ...]


@dataclass(frozen=True)
class _Task:
    """A stack whose alternatives are tried, from the first one or ``backwards``."""

    stack: str
    flags: TryFlags
    shared: Shared
    backwards: bool


@dataclass(frozen=True)
class After:
    """What is done with a substitution that runs: values are compared, batches are run."""

    values: bool = False
    batches: str | None = None


def swap(
    stack: str, replaced: tuple[str, ...], flags: TryFlags, after: After, as_json: bool
) -> None:
    """Try one substitution and print what came of it; raises EmuError if values differ."""
    batches = () if after.batches is None else parse_sizes(after.batches, BATCH.flag)
    flags = replace(flags, symbolic_batch=flags.symbolic_batch or bool(batches))
    catalogue, stack = catalogue_of(stack)
    base = known_stack(catalogue, stack)
    wanted = replacements(catalogue, base, replaced)
    opened, laboratory = opened_in(catalogue, flags)
    bench = bench_of(laboratory, stack, flags)
    outcome = bench.swap(wanted)
    types = Disarmed(bench, Worlds(laboratory)).types(outcome)
    check = compared(opened, bench, outcome) if after.values else Compared()
    runs = _both(bench, outcome, batches) if batches else {}
    if as_json:
        said = swap_json(stack, outcome, types, flags.model, check.said)
        ran = {"batches": {n: [size_json(run) for run in found] for n, found in runs.items()}}
        print(json_text.dumps({**said, **(ran if batches else {})}))
    else:
        named, anywhere = f"{stack} on {flags.model}", bench.anywhere(outcome)
        print("\n".join(outcome_text(named, outcome, types, anywhere, str(check))))
        if runs:
            print("\n".join(("", *sizes_text(runs))))
    if check.check is not None and not check.check.ok:
        raise EmuError(f"the values are not as {check.check}")


def _both(
    bench: Bench, outcome: Outcome, batches: tuple[int, ...]
) -> dict[str, tuple[SizeRun, ...]]:
    """The batches on the stack as it was, and with other parts, as far as each of them runs."""
    after = {**bench.base, **outcome.replaced, **dict(outcome.cofactors)}
    tried = {} if outcome.kind == "native-failure" else {"before": bench.base}
    if outcome.ratio is not None or outcome.cofactors:
        tried["after"] = after
    return {n: run_sizes(Session(c, bench.laboratory), batches) for n, c in tried.items()}


def lockin(stack: str | None, flags: TryFlags, dot: Path | None, as_json: bool) -> None:
    """Try every alternative of every slot, and print the matrix of each stack."""
    stacks = tuple(load_catalogue(FOLDER).stacks) if stack is None else (stack,)
    for one in stacks:
        catalogue_of(one)
    if dot is not None:
        check_writable("--dot", dot)
    drawn = _matrices(stacks, flags)
    for name, cells in drawn.items():
        _print_cells(name, cells, flags, as_json)
    if dot is not None:
        _write(dot, dot_text(drawn))


def _write(path: Path, text: str) -> None:
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise BadOption(f"--dot {path}: cannot be written: {error.strerror}") from error


def _matrices(stacks: tuple[str, ...], flags: TryFlags) -> dict[str, list[Cell]]:
    """The cells of each stack, by its name; stacks are shared out among processes.

    Those that take longest come first, so that at the end no process waits long for another. Times
    that one finds the others read, and they ask for different chips at a time.
    """
    ordered = sorted(stacks, key=_counts_of_cores, reverse=True)
    found: dict[str, list[Cell]] = {}
    with TemporaryDirectory() as folder, progress("swapping", len(ordered)) as tick:
        shared = Shared(Path(folder) if len(ordered) > 1 else None)
        tasks = [_Task(stack, flags, shared, place % 2 == 1) for place, stack in enumerate(ordered)]
        for place, cells in finished(_cells, tasks):
            found[ordered[place]] = cells
            tick()
    return {catalogue_of(stack)[1]: found[stack] for stack in stacks}


def _counts_of_cores(stack: str) -> int:
    """How many counts of cores every program of a stack is compiled for: what most time goes to."""
    catalogue, name = catalogue_of(stack)
    sheet = load_datasheet(known_stack(catalogue, name)["device"][0].fact("datasheet"))
    return len(fewer_cores(device_of(sheet).machine))


def _cells(task: _Task) -> list[Cell]:
    """Every substitution in one stack, and the lock-in types that it shows."""
    flags = task.flags
    catalogue, name = catalogue_of(task.stack)
    asked = tuple(flags.set_ or ()), tuple(flags.dim or ())
    worlds = _worlds(
        catalogue, flags.model, *asked, flags.host_read, flags.symbolic_batch, task.shared
    )
    bench = bench_of(worlds.without(frozenset()), name, flags)
    disarmed = Disarmed(bench, worlds)
    swaps = [{slot: bundle} for slot, bundle in alternatives(bench)]
    tried = [bench.swap(replaced) for replaced in (swaps[::-1] if task.backwards else swaps)]
    cells = [(outcome, disarmed.types(outcome)) for outcome in tried]
    return cells[::-1] if task.backwards else cells


@lru_cache(maxsize=1)
def _worlds(
    catalogue: Catalogue,
    model: str,
    settings: Texts,
    dims: Texts,
    host_read: bool,
    symbolic_batch: bool,
    shared: Shared,
) -> Worlds:
    """The laboratories of a model, made once by each process for all stacks."""
    flags = TryFlags(
        model, [*settings], [*dims], host_read=host_read, symbolic_batch=symbolic_batch
    )
    return Worlds(replace(opened_in(catalogue, flags)[1], shared=shared))


def _print_cells(name: str, cells: list[Cell], flags: TryFlags, as_json: bool) -> None:
    if as_json:
        found = [swap_json(name, o, types, flags.model, Compared().said) for o, types in cells]
        print(json_text.dumps(lockin_json(name, found)))
    else:
        print("\n".join((*cell_table(name, flags.model, cells), "")))


def alternatives(bench: Bench) -> Iterator[tuple[str, Bundle]]:
    """Every slot with everything that could stand there and does not."""
    catalogue = bench.laboratory.catalogue
    for slot in SLOTS:
        for bundle in catalogue.options(slot):
            if bundle != bench.base[slot]:
                yield slot, bundle


def cost(stack: str | None, flags: TryFlags, as_json: bool) -> None:
    """Print what it costs to move a stack to each other chip, and what each type adds to it."""
    if stack is None:
        raise BadOption("--cost: say which stack is left, as in emu lockin cuda-like --cost")
    catalogue, stack = catalogue_of(stack)
    _, laboratory = opened_in(catalogue, flags)
    prices = load_prices()
    found = leaving(Mover(bench_of(laboratory, stack, flags), Worlds(laboratory), prices))
    if as_json:
        print(json_text.dumps(cost_json(stack, flags.model, found, prices)))
    else:
        print("\n".join(cost_text(stack, flags.model, found, prices)))


def show_stack(name: str, as_json: bool) -> None:
    """Print the parts of a stack with their facts, and which of these are assumed."""
    catalogue, name = catalogue_of(name)
    choice, about = known_stack(catalogue, name), catalogue.about[name]
    if as_json:
        slots = {slot: [part.name for part in bundle] for slot, bundle in choice.items()}
        print(json_text.dumps({"schema": "emu.stack/1", "name": name, "about": about, **slots}))
        return
    print("\n".join(stack_text(name, about, choice)))
