"""What the flags of `emu swap`, `emu lockin` and `emu readiness` ask for, as values."""

from collections.abc import Callable, Mapping

from emu.commands import Request, shape_of
from emu.flags import StackFlags, limits_of
from emu.foreign import is_path
from emu.ir.errors import BadOption, UnknownName
from emu.ir.graph import Graph
from emu.lockin.dimension import BATCH, Dimension
from emu.lockin.flags import ProgramFlags, TryFlags
from emu.lockin.outcome import Bench
from emu.lockin.parts import SLOTS, Bundle, Catalogue, Part, misfit, title
from emu.lockin.source import Source
from emu.lockin.stacked import known_stack
from emu.lockin.trial import Laboratory
from emu.models.dims import input_types
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.zoo import zoo_models
from emu.pipeline import open_model


def opened_in(catalogue: Catalogue, flags: ProgramFlags) -> tuple[Model, Laboratory]:
    """The model that flags name, and a laboratory that tries stacks on it."""
    asked = Request(flags.model, flags.shape, StackFlags())
    return opened(catalogue, asked, flags.host_read, BATCH if flags.symbolic_batch else None)


def opened(
    catalogue: Catalogue,
    asked: Request,
    host_read: bool = False,
    left_open: Dimension | None = None,
    size: int = 1,
) -> tuple[Model, Laboratory]:
    """A model, and a laboratory for the program that it is.

    With ``host_read`` that reads a value in its middle. A dimension may be ``left_open``, which a
    file has at first in that ``size`` unless it is told another; raises BadOption if it has none.
    """
    settings, dims = shape_of(asked)
    model = open_model(asked.model, settings, limits_of(asked.shape.limits, asked.shape.more))
    symbols = () if left_open is None else (_called(asked, model, left_open),)
    if is_path(asked.model):
        dims = {**dict.fromkeys(symbols, size), **dims}
    graph = to_graph(model, dims)
    reads = (graph.nodes[len(graph.nodes) // 2].output,) if host_read else ()
    of_size = models(asked, model, symbols)

    def bound(size: int) -> Graph:
        known = dict.fromkeys(symbols, size) if is_path(asked.model) else {}
        return to_graph(of_size(size), {**dims, **known})

    return model, Laboratory(catalogue, Source(graph, reads, symbols, bound))


def models(asked: Request, model: Model, symbols: tuple[str, ...]) -> Callable[[int], Model]:
    """The model with ``symbols`` of a size: a file as it is, or the zoo's with that setting."""
    if is_path(asked.model):
        return lambda size: model
    settings, _ = shape_of(asked)
    return lambda size: open_model(asked.model, {**settings, **dict.fromkeys(symbols, size)})


def _called(asked: Request, model: Model, dimension: Dimension) -> str:
    """What a model calls a dimension; raises BadOption, with what it has, if it has none."""
    if is_path(asked.model):
        kind, shapes = "dimension", [type.shape for type in input_types(model).values()]
        known = list(dict.fromkeys(d for shape in shapes for d in shape if isinstance(d, str)))
    else:
        kind, zoo = "setting", {one.name: one.settings for one in zoo_models()}
        known = list(zoo[asked.model])
    found = next((name for name in known if name in dimension.calls), None)
    if found is None:
        wanted, has = " or ".join(dimension.calls), ", ".join(known) or "numbers only"
        raise BadOption(f"{asked.model} has no {kind} {wanted} to leave open; it has {has}")
    return found


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
