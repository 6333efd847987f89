"""K1, dispatch, and K3, symbols: which kernels answer to what is asked for by name.

An interface of kind "kernels" is a table of ops that may be asked for. A library answers for an op
if it exports the table in a version that has the op, has the element type of the run, and a kernel
of its depth takes the node with its shapes, attributes and element types.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from emu.devices.datasheet import load_datasheet
from emu.devices.make import device_of
from emu.dtype import computes
from emu.ir.body import Body
from emu.ir.errors import KernelNotRegistered, SymbolNotFound
from emu.ir.graph import Node
from emu.ir.ops.own import standard
from emu.ir.precision import DTYPES
from emu.kernels.libraries import LIBRARIES
from emu.lockin.bundles import wanted_in
from emu.lockin.parts import Bundle, Catalogue, Choice, Meeting, Part, meetings
from emu.lockin.source import Source

# The libraries that were met, each with the kernels of its interface by op.
Tables = Sequence[tuple[Meeting, Mapping[str, Any]]]


@dataclass(frozen=True)
class Resolved:
    """Who computes each node: the name of a library part, or "codegen" or "host"."""

    by: dict[str, str]

    @property
    def on_host(self) -> int:
        """Nodes that go to the host."""
        return sum(by == "host" for by in self.by.values())


def dispatch(choice: Choice, source: Source, catalogue: Catalogue) -> Resolved:
    """K1: an eager front end asks for a kernel for each node, by its own dispatch table.

    Raises KernelNotRegistered where it does not go to the host instead.
    """
    front = choice["front_end"][0]
    if front.fact("mode") != "eager":
        return Resolved({})
    found = meetings(choice["kernels"], (front,), catalogue.of_kind("kernels"))
    dtype = run_dtype(choice, source)

    def missing(node: Node, why: str) -> str:
        if front.fact("on_missing") == "raise" or not found:
            raise KernelNotRegistered(
                f"{node.op} ({node.id}) is dispatched", why, _asked((front,), dtype)
            )
        return "host"

    return _resolve(source, found, catalogue, dtype, missing)


def dispatched(choice: Choice, found: Resolved, catalogue: Catalogue) -> tuple[Part, ...]:
    """Who took part in K1, besides libraries, which take part when they launch: who dispatched."""
    del catalogue
    return (choice["front_end"][0],) if found.by else ()


def symbols(choice: Choice, source: Source, catalogue: Catalogue) -> Resolved:
    """K3: the compiler emits a symbol for each node, which a library exports, or it makes do.

    Raises SymbolNotFound where the compiler neither generates code nor goes to the host.
    """
    if choice["front_end"][0].fact("mode") == "eager":
        return Resolved({})
    compilers = choice["compiler"]
    found = meetings(choice["kernels"], compilers, catalogue.of_kind("kernels"))
    fallback, dtype = instead(compilers, catalogue), run_dtype(choice, source)

    def missing(node: Node, why: str) -> str:
        if fallback == "raise":
            raise SymbolNotFound(f"{node.op} ({node.id}) is linked", why, _asked(compilers, dtype))
        return fallback

    return _resolve(source, found, catalogue, dtype, missing)


def run_dtype(choice: Choice, source: Source) -> str:
    """The element type of a run: what is asked for, or the first of the libraries on the chip.

    Where the chip computes in none of these it is their first, and the run will say so.
    """
    wanted = wanted_in(choice["kernels"])
    return source.dtype or _first(wanted, choice["device"][0]) or wanted[0]


def computed(device: Bundle, catalogue: Catalogue) -> tuple[str, ...]:
    """What a chip computes in with each library of a catalogue: the first of its element types."""
    lists = {tuple(part.fact("dtypes")) for part in catalogue.parts["kernels"].values()}
    return tuple(_first(wanted, device[0]) for wanted in sorted(lists))


@lru_cache(maxsize=4096)
def _first(wanted: tuple[str, ...], device: Part) -> str:
    """The first of some element types that a chip computes in, "" if there is none."""
    chip = device_of(load_datasheet(device.fact("datasheet")))
    return next((dtype for dtype in wanted if computes(chip, dtype)), "")


def instead(compilers: tuple[Part, ...], catalogue: Catalogue) -> str:
    """What becomes of an unresolved symbol: code only from who has an instruction set."""
    code = catalogue.of_kind("isa") | catalogue.of_kind("portable")
    for compiler in compilers:
        makes_code = any(offer.interface in code for offer in compiler.exports)
        wish = compiler.fact("on_missing")
        if wish == "host" or (wish == "codegen" and makes_code):
            return wish
    return "raise"


def _resolve(
    source: Source,
    found: tuple[Meeting, ...],
    catalogue: Catalogue,
    dtype: str,
    missing: Callable[[Node, str], str],
) -> Resolved:
    by: dict[str, str] = {}
    tables = [(m, catalogue.interfaces[m.interface].upto(m.version)) for m in found]
    for node in source.graph.nodes:
        first = source.first[node.id]
        by[node.id] = by[first] if first in by else _taken(node, source, tables, dtype, missing)
    return Resolved(by)


def _taken(
    node: Node, source: Source, tables: Tables, dtype: str, missing: Callable[[Node, str], str]
) -> str:
    """The first library that has a kernel for a node, or what becomes of it where none has."""
    reasons: dict[str, None] = {}
    for name, why in _answers(node, source.bodies[node.id], tables, dtype):
        if not why:
            return name
        reasons[why] = None
    return missing(node, "; ".join(reasons) or "no kernel table")


def _answers(node: Node, body: Body, tables: Tables, dtype: str) -> Iterator[tuple[str, str]]:
    """For each library that was met, with a table of ops, why it has no kernel for a node."""
    for meeting, table in tables:
        library = meeting.exporter
        absent = [op for op in standard(node.op) if op not in table]
        if absent:
            yield library.name, f"{meeting.interface} {meeting.version} has no {absent[0]}"
        elif dtype not in library.fact("dtypes"):
            yield library.name, f"{library.name} has {', '.join(library.fact('dtypes'))}"
        else:
            yield library.name, _unclaimed(library.fact("depth"), dtype, body)


@lru_cache(maxsize=65536)
def _unclaimed(depth: str, dtype: str, body: Body) -> str:
    """Why no kernel of a depth takes a body in an element type, "" if one does."""
    wanted = _typed(body, dtype)
    refusals = [kernel.refusal(wanted) for kernel in LIBRARIES[depth].kernels]
    if any(why is None for why in refusals):
        return ""
    return f"a {depth} library has no kernel for it"


def _typed(body: Body, dtype: str) -> Body:
    """The body in the element type that it will be computed in."""
    rest = DTYPES[dtype].rest
    types = tuple(replace(t, dtype=rest) if t.dtype == "f32" else t for t in body.types)
    return replace(body, types=types)


def _asked(parts: tuple[Part, ...], dtype: str) -> str:
    asked = [f"{o.interface} {o.least} to {o.most}" for p in parts for o in p.imports]
    return f"{', '.join(asked) or 'no kernel table'} in {dtype}"
