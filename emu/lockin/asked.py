"""What the flags of `emu swap`, `emu lockin` and `emu readiness` ask for, as values."""

from collections.abc import Mapping

from emu.commands import Request, shape_of
from emu.flags import StackFlags, limits_of
from emu.foreign import is_path
from emu.ir.errors import BadOption, UnknownName
from emu.ir.graph import Graph
from emu.lockin.flags import ProgramFlags, TryFlags
from emu.lockin.outcome import Bench
from emu.lockin.parts import SLOTS, Bundle, Catalogue, Part, misfit, title
from emu.lockin.source import Source
from emu.lockin.stacked import known_stack
from emu.lockin.trial import Laboratory
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.pipeline import open_model

BATCH = "batch"  # the dimension, or the setting of a zoo model, that a program may leave open


def opened_in(catalogue: Catalogue, flags: ProgramFlags) -> tuple[Model, Laboratory]:
    """The model that flags name, and a laboratory that tries stacks on it."""
    asked = Request(flags.model, flags.shape, StackFlags())
    return opened(catalogue, asked, flags.host_read, flags.symbolic_batch)


def opened(
    catalogue: Catalogue, asked: Request, host_read: bool = False, open_batch: bool = False
) -> tuple[Model, Laboratory]:
    """A model, and a laboratory for the program that it is.

    With ``host_read`` that reads a value in its middle, with ``open_batch`` it leaves its batch
    open.
    """
    settings, dims = shape_of(asked)
    limits = limits_of(asked.shape.limits, asked.shape.more)
    model = open_model(asked.model, settings, limits)
    if open_batch and is_path(asked.model):
        dims = {BATCH: 1, **dims}
    graph = to_graph(model, dims)
    reads = (graph.nodes[len(graph.nodes) // 2].output,) if host_read else ()
    symbols = (BATCH,) if open_batch else ()

    def bound(batch: int) -> Graph:
        if is_path(asked.model):
            return to_graph(model, {**dims, BATCH: batch})
        return to_graph(open_model(asked.model, {**settings, BATCH: batch}), dims)

    return model, Laboratory(catalogue, Source(graph, reads, symbols, bound))


def bench_of(laboratory: Laboratory, stack: str, flags: TryFlags) -> Bench:
    """The bench of a stack; raises UnknownName for no stack, or no slot to keep."""
    if unknown := next((slot for slot in flags.keep or () if slot not in SLOTS), None):
        raise UnknownName("slot", unknown, SLOTS)
    keep = ("device",) if flags.keep is None else tuple(flags.keep)
    base = known_stack(laboratory.catalogue, stack)
    return Bench(laboratory, base, flags.floor, keep)


def replacements(
    catalogue: Catalogue, base: Mapping[str, Bundle], texts: tuple[str, ...]
) -> Mapping[str, Bundle]:
    """What is to stand in which slot; raises BadOption or UnknownName."""
    if not texts:
        raise BadOption("--replace SLOT=NAME is missing: say what to swap")
    found: dict[str, Bundle] = {}
    for text in texts:
        slot, bundle = _replacement(catalogue, text)
        if slot in found:
            raise BadOption(f"--replace {text}: {slot} is replaced twice")
        if bundle == base[slot]:
            raise BadOption(f"--replace {text}: it stands there already")
        found[slot] = bundle
    return found


def _replacement(catalogue: Catalogue, text: str) -> tuple[str, Bundle]:
    """SLOT=NAME[+NAME...]: the parts that are to stand in a slot."""
    slot, equals, names = text.partition("=")
    if not equals or not names:
        raise BadOption(f"--replace {text}: write SLOT=NAME, or SLOT=NAME+NAME for a bundle")
    if slot not in SLOTS:
        raise UnknownName("slot", slot, SLOTS)
    bundles = {title(bundle): bundle for bundle in catalogue.options(slot)}
    if names in bundles:
        return slot, bundles[names]
    bundle = tuple(_part(catalogue, slot, name) for name in names.split("+"))
    if wrong := misfit(slot, bundle):
        raise BadOption(f"--replace {text}: {slot} {wrong}")
    return slot, bundle


def _part(catalogue: Catalogue, slot: str, name: str) -> Part:
    if name not in catalogue.parts[slot]:
        raise UnknownName(f"alternative for {slot}", name, catalogue.parts[slot])
    return catalogue.parts[slot][name]
