"""One point of a sweep: compile and price, or price a program again on other facts."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias, cast

from emu.account import Account
from emu.commands import numbers
from emu.dump import Watch
from emu.ir.errors import CapacityError, ContractError, Unsupported
from emu.ir.graph import Graph
from emu.ir.passes import run_passes
from emu.ir.program import Drop, Keep, Launch
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.pipeline import bring_down, make_stack, open_model
from emu.run import Compiled
from emu.stack import Choices
from emu.sweeps.plan import SLOTS, Point

Result: TypeAlias = dict[str, int | str]
Pairs: TypeAlias = tuple[tuple[str, int], ...]
Settings: TypeAlias = tuple[tuple[str, str], ...]

REFUSALS = (CapacityError, ContractError, Unsupported)
FIGURES = ("latency_ps", "energy_pj", "dynamic_pj", "static_pj", "dram_bytes", "peak_bytes")
GIB = 2**30
ALL_EVERY = 100  # points between two looks through all that a process keeps
_points = count(1)


def price(model: str, point: Point, reprice: bool) -> Result:
    """Return the figures of a point, or why it was ``refused``.

    Raises InputError for a setting that can never be used.
    """
    try:
        settings = tuple(sorted(point.items()))
        with _keeping_garbage():
            made = _repriced(model, settings) if reprice else _anew(model, settings)
            return _figures(made)
    except REFUSALS as error:
        return {"refused": " ".join(str(error).split())}


@contextmanager
def _keeping_garbage() -> Generator[None, None, None]:
    """Collect no garbage within a point, and once behind it, of what it made, sometimes of all.

    Most of that is kept until it is priced, so that to look through it again and again takes nearly
    as long as to price it. Chips that are no longer kept and what is known of them hold each other,
    so a long sweep would take ever more memory in a process that collects nothing.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(1 if next(_points) % ALL_EVERY else 2)
        if collecting:
            gc.enable()


def _figures(compiled: Compiled) -> Result:
    trace, energy = compiled.trace, Account(compiled).energy
    sizes = (trace.did.traffic.total, trace.peak_device_bytes)
    joules = (energy.total, energy.dynamic, energy.static)
    found: Result = dict(zip(FIGURES, (trace.total_ps, *joules, *sizes), strict=True))
    causes = {f"{cause}_ps": ps for cause, ps in trace.ledger.items()}
    return {**found, "groups": len(trace.launches), **causes, "refused": ""}


def _anew(model: str, settings: Settings) -> Compiled:
    read = model, _pairs(settings, "set."), _pairs(settings, "dim.")
    opened, graph = _imported(*read)
    stack = make_stack(**_choices(settings))
    passed = _passed(*read, stack.compiler.passes)
    return bring_down(opened, graph, stack, stack.device.make(), Watch(), passed=passed).compiled


def _repriced(model: str, settings: Settings) -> Compiled:
    """The program for the chip without changed facts, on the clock of the chip with them."""
    unchanged = tuple(pair for pair in settings if not pair[0].startswith("device."))
    compiled = _compiled(model, unchanged)
    chip = replace(compiled.stack.device, facts=_facts(settings))
    made = chip.make()
    if compiled.program.peak_bytes > made.sheet.memory.dram.capacity_gib * GIB:
        raise CapacityError(f"the program does not fit the memory of '{made.name}' any more")
    kept: dict[str, int] = {}
    for command in compiled.program.commands:
        if isinstance(command, Keep):
            kept[command.value] = command.size
        elif isinstance(command, Drop):
            del kept[command.value]
        elif isinstance(command, Launch) and not made.fits(command.program, sum(kept.values())):
            raise CapacityError(f"kernel '{command.kernel}' does not fit the chip any more")
    trace = made.simulate(compiled.program)
    return replace(compiled, stack=replace(compiled.stack, device=chip), trace=trace)


@lru_cache(maxsize=8)
def _compiled(model: str, settings: Settings) -> Compiled:
    """A program, compiled once by each process."""
    return _anew(model, settings)


@lru_cache(maxsize=4)
def _imported(model: str, settings: Pairs, dims: Pairs) -> tuple[Model, Graph]:
    """A model and its graph, read once by each process."""
    opened = open_model(model, dict(settings))
    return opened, to_graph(opened, dict(dims))


@lru_cache(maxsize=8)
def _passed(model: str, settings: Pairs, dims: Pairs, passes: tuple[str, ...]) -> Graph:
    """What passes make of a graph, whatever the rest of a stack; run once by each process."""
    return run_passes(_imported(model, settings, dims)[1], passes)


def _pairs(settings: Settings, prefix: str) -> Pairs:
    texts = [f"{k.removeprefix(prefix)}={v}" for k, v in settings if k.startswith(prefix)]
    return tuple(sorted(numbers(f"sweep {prefix}", texts).items()))


def _facts(settings: Settings) -> tuple[str, ...]:
    prefix = "device."
    return tuple(f"{k.removeprefix(prefix)}={v}" for k, v in settings if k.startswith(prefix))


def _choices(settings: Settings) -> Choices:
    named: dict[str, Any] = {key: value for key, value in settings if key in SLOTS}
    if str(named.get("device", "")).endswith(".toml"):
        named["device"] = Path(named["device"])
    return cast("Choices", {**named, "facts": _facts(settings)})


def must_be_possible(model: str, point: Point) -> None:
    """Raise InputError for a point with a name, a setting or a fact that there is not."""
    settings = tuple(sorted(point.items()))
    try:
        make_stack(**_choices(settings)).device.make()
        _imported(model, _pairs(settings, "set."), _pairs(settings, "dim."))
    except REFUSALS:
        return
