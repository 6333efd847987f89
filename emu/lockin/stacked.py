"""``emu run --stack NAME``: a model on the parts of a stack, after every contract was executed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from emu.commands import choices, shape_of, tell_excess
from emu.devices.datasheet import load_datasheet
from emu.devices.device import Device
from emu.devices.driver.handles import GRAPH, KEEP
from emu.devices.facts import parse_changes
from emu.dump import Watch
from emu.flags import Request, StackFlags, limits_of
from emu.ir.errors import BadOption, UnknownName
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Library
from emu.lockin.bundles import library_of
from emu.lockin.catalogue import FOLDER, load_with
from emu.lockin.contracts.binding import figures_of
from emu.lockin.contracts.linking import roles_of
from emu.lockin.partitions import runs_on, spelled_out
from emu.lockin.parts import Catalogue, Choice, title
from emu.lockin.playing import ENDLESS, Playing
from emu.lockin.segments import Segment, programs_of
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.pipeline import Executable, bring_down, make_stack, open_model
from emu.stack import Chip, Compiler, Stack

# Which fields of the compiler a flag replaces; the other fields stay those of the stack.
FIELDS = {
    "fusion": ("scope", "decider"),
    "decider": ("scope", "decider"),
    "passes": ("passes",),
    "layout": ("layout",),
    "tiling": ("tiling",),
    "tune_trials": ("trials", "tiling"),
    "tuning_db": ("tiling",),
    "fallback": ("fallback",),
    "residency": ("residency",),
    "graph_replay": ("graph_replay",),
    "over_capacity": ("over_capacity",),
}
CHIP = frozenset(("device", "device_file", "set_device"))  # flags that say what the chip is
SUFFIX = ".toml"  # what ends so is a file
NOT_WITH = ("tuning_db", "calibration", "array_model")
# Switches that need a function of the drivers: the flag, its value, the role, and what is missing.
SWITCHES: tuple[tuple[str, Callable[[StackFlags], str], str, str], ...] = (
    ("--residency", lambda flags: flags.residency, KEEP, "keeps a value on chip"),
    ("--graph-replay", lambda flags: flags.graph_replay, GRAPH, "launches a graph"),
)


def on_stack(
    name: str, given: frozenset[str], folder: Path = FOLDER
) -> Callable[[Request, Watch], Executable]:
    """What compiles a request on a stack, a name or a file; flags that are ``given`` override it.

    Raises the error of the first contract that the stack breaks.
    """
    if wrong := next((flag for flag in NOT_WITH if flag in given), None):
        raise BadOption(f"--{wrong.replace('_', '-')}: does not go with --stack {name}")

    def compile_on(asked: Request, watch: Watch) -> Executable:
        settings, dims = shape_of(asked)
        catalogue, known = catalogue_of(name, folder)
        choice = known_stack(catalogue, known)
        opened = open_model(asked.model, settings, limits_of(asked.shape.limits, asked.shape.more))
        dtype = asked.stack.dtype if "dtype" in given else ""
        laboratory = Laboratory(catalogue, Source(to_graph(opened, dims), dtype=dtype))
        _check_switches(name, choice, catalogue, asked.stack)
        return tell_excess(brought_down(opened, choice, laboratory, watch, asked.stack, given))

    return compile_on


def _check_switches(name: str, choice: Choice, catalogue: Catalogue, flags: StackFlags) -> None:
    """Raise BadOption for a switch that the drivers of a stack have no function for.

    Nothing is captured of a front end that dispatches op by op. Raises AbiMismatch if the drivers
    cannot be opened at all.
    """
    front, drivers = choice["front_end"][0], title(choice["driver"])
    for flag, switch, role, does in SWITCHES:
        if switch(flags) != "on":
            continue
        if role == GRAPH and front.fact("mode") == "eager":
            raise BadOption(f"{flag} on: not with --stack {name}: {front.name} dispatches op by op")
        if role not in roles_of(choice, catalogue):
            raise BadOption(f"{flag} on: not with --stack {name}: no function of {drivers} {does}")


def catalogue_of(stack: str, folder: Path = FOLDER) -> tuple[Catalogue, str]:
    """The catalogue, with a stack file of the user's own if that is what is said, and its name.

    Raises CatalogueError for a bad file, and UnknownName for a name that there is not.
    """
    catalogue, (name,) = catalogue_with((stack,), folder)
    return catalogue, name


def catalogue_with(
    stacks: Sequence[str], folder: Path = FOLDER
) -> tuple[Catalogue, tuple[str, ...]]:
    """The same for several stacks in one catalogue, each a name or a file."""
    catalogue = load_with([Path(stack) for stack in stacks if stack.endswith(SUFFIX)], folder)
    names = tuple(Path(stack).stem if stack.endswith(SUFFIX) else stack for stack in stacks)
    for name in names:
        known_stack(catalogue, name)
    return catalogue, names


def known_stack(catalogue: Catalogue, name: str) -> Choice:
    """The parts of a stack; raises UnknownName."""
    if name not in catalogue.stacks:
        raise UnknownName("stack", name, catalogue.stacks)
    return catalogue.stacks[name]


def brought_down(
    opened: Model,
    choice: Choice,
    laboratory: Laboratory,
    watch: Watch,
    flags: StackFlags | None = None,
    given: frozenset[str] = frozenset(),
) -> Executable:
    """The model of a laboratory on a choice of parts, with some of them overridden by flags.

    The program is played once without values, so that what the parts cannot do fails here. Raises
    the refusal of the first contract that is broken, and what playing raises.
    """
    refused = laboratory.refusal(choice)
    if refused is not None:
        raise refused.error
    flags = flags or StackFlags()
    chip = _chip(choice, laboratory, flags, given)
    stack, library = _stack(choice, laboratory, chip, flags, given)
    made = bring_down(opened, laboratory.source.graph, stack, chip, watch, library=library)
    with watch.timed("play"):
        _play(made, choice, laboratory)
    return made


def _play(made: Executable, choice: Choice, laboratory: Laboratory) -> None:
    """Run the program through the functions that the drivers export, without values.

    What is priced over capacity has memory without end.
    """
    found = made.compiled
    own = frozenset((*found.program.inputs, *found.program.outputs))
    segments = (Segment(found.lowered, found.schedule, found.program, own),)
    compile = programs_of(segments).__getitem__
    room_bytes = ENDLESS if found.stack.compiler.over_capacity else None
    playing = Playing(segments, choice, laboratory.catalogue, made.chip, compile, room_bytes)
    playing.play(laboratory.source.graph.outputs)


def _chip(
    choice: Choice, laboratory: Laboratory, flags: StackFlags, given: frozenset[str]
) -> Device:
    """The chip of the device slot, or of flags; it is launched by the same front end."""
    if not given & CHIP:
        return laboratory.chip(choice)
    asked = _device(choice, flags, given)
    return laboratory.chip(choice, sheet=load_datasheet(asked.name, parse_changes(asked.all_facts)))


def _device(choice: Choice, flags: StackFlags, given: frozenset[str]) -> Chip:
    """The chip that flags ask for, or that of the stack with the facts that they change.

    A policy has the chip of the stack cut; another one that is asked for stays whole.
    """
    asked = make_stack(**choices(flags)).device
    if given & {"device", "device_file"}:
        return asked
    name, share = runs_on(choice)
    return replace(asked, name=name, partition=share and spelled_out(share, name))


def _stack(
    choice: Choice,
    laboratory: Laboratory,
    chip: Device,
    flags: StackFlags,
    given: frozenset[str],
) -> tuple[Stack, Library]:
    """The stack that parts and flags spell, and its kernels as one library."""
    spelt, asked = laboratory.stack(choice, chip), make_stack(**choices(flags))
    compiler = _overridden(spelt.compiler, asked.compiler, given)
    dtype = laboratory.dtype(choice, chip)
    compiler = replace(compiler, dtype=dtype)
    device = _device(choice, flags, given)
    read = figures_of(choice["orchestrator"][0].fact("intents"))
    stack = replace(spelt, compiler=compiler, device=device, telemetry=read, **_names(choice))
    if "kernels" in given:
        return replace(stack, kernels=asked.kernels), LIBRARIES[asked.kernels]
    return stack, library_of(choice, laboratory.catalogue, dtype)


def _overridden(compiler: Compiler, asked: Compiler, given: frozenset[str]) -> Compiler:
    fields = {field for flag in given for field in FIELDS.get(flag, ())}
    return replace(compiler, **{field: getattr(asked, field) for field in fields})


def _names(choice: Choice) -> dict[str, str]:
    return {slot: choice[slot][0].name for slot in ("front_end", "driver", "orchestrator")}
