"""``emu run --stack NAME``: a model on the parts of a stack, after every contract was executed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from emu.commands import choices, shape_of
from emu.devices.datasheet import load_datasheet
from emu.devices.device import Device
from emu.dump import Watch
from emu.flags import Request, StackFlags
from emu.ir.errors import BadOption, UnknownName
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Library
from emu.lockin.bundles import library_of
from emu.lockin.catalogue import FOLDER, load_catalogue, load_with
from emu.lockin.parts import Catalogue, Choice
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory, dtype_of, spelled
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.pipeline import Executable, bring_down, make_stack, open_model
from emu.stack import Compiler, Stack

# Which fields of the compiler a flag replaces; the other fields stay those of the stack.
FIELDS = {
    "fusion": ("scope", "decider"),
    "decider": ("scope", "decider"),
    "passes": ("passes",),
    "dtype": ("dtype",),
    "layout": ("layout",),
    "tiling": ("tiling",),
    "tune_trials": ("trials", "tiling"),
    "tuning_db": ("tiling",),
    "fallback": ("fallback",),
}
SUFFIX = ".toml"  # what ends so is a file
NOT_WITH = ("tuning_db", "calibration", "array_model")


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
        opened = open_model(asked.model, settings)
        laboratory = Laboratory(catalogue, Source(to_graph(opened, dims)))
        return brought_down(opened, choice, laboratory, watch, asked.stack, given)

    return compile_on


def catalogue_of(stack: str, folder: Path = FOLDER) -> tuple[Catalogue, str]:
    """The catalogue, with a stack file of the user's own if that is what is said, and its name.

    Raises CatalogueError for a bad file, and UnknownName for a name that there is not.
    """
    if stack.endswith(SUFFIX):
        return load_with(Path(stack), folder), Path(stack).stem
    catalogue = load_catalogue(folder)
    known_stack(catalogue, stack)
    return catalogue, stack


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
    """The model of a laboratory on a choice of parts, with some of them overridden by flags."""
    refused = laboratory.refusal(choice)
    if refused is not None:
        raise refused.error
    flags = flags or StackFlags()
    chip = _chip(choice, laboratory, flags, given)
    stack, library = _stack(choice, laboratory, chip, flags, given)
    return bring_down(opened, laboratory.source.graph, stack, chip, watch, library=library)


def _chip(
    choice: Choice, laboratory: Laboratory, flags: StackFlags, given: frozenset[str]
) -> Device:
    """The chip of the device slot, or of a flag; it is launched by the same front end."""
    sheet = load_datasheet(flags.device) if "device" in given else None
    return laboratory.chip(choice, sheet=sheet)


def _stack(
    choice: Choice,
    laboratory: Laboratory,
    chip: Device,
    flags: StackFlags,
    given: frozenset[str],
) -> tuple[Stack, Library]:
    """The stack that parts and flags spell, and its kernels as one library."""
    spelt, asked = spelled(choice), make_stack(**choices(flags))
    compiler = _overridden(spelt.compiler, asked.compiler, given)
    if "dtype" not in given:
        compiler = replace(compiler, dtype=dtype_of(choice["kernels"], chip))
    device = asked.device if "device" in given else spelt.device
    stack = replace(spelt, compiler=compiler, device=device, **_names(choice))
    if "kernels" in given:
        return replace(stack, kernels=asked.kernels), LIBRARIES[asked.kernels]
    return stack, library_of(choice, laboratory.catalogue)


def _overridden(compiler: Compiler, asked: Compiler, given: frozenset[str]) -> Compiler:
    fields = {field for flag in given for field in FIELDS.get(flag, ())}
    return replace(compiler, **{field: getattr(asked, field) for field in fields})


def _names(choice: Choice) -> dict[str, str]:
    return {slot: choice[slot][0].name for slot in ("front_end", "driver", "orchestrator")}
