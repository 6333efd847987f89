"""K2, capture: the front end encodes a program into op numbers of a dialect, the compiler parses.

A dialect is a table that only grows: an op keeps its number, and a version is how far the table
goes. What the front end cannot encode, or the compiler cannot parse, shows here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from emu.ir.errors import DynamicShape, GraphBreak, NoCommonIR
from emu.ir.graph import Attrs, Graph, Node
from emu.lockin.parts import Catalogue, Choice, Interface, Offer, Part, meetings
from emu.lockin.source import Source


@dataclass(frozen=True)
class Entry:
    """One op on a tape, by its number in the dialect."""

    number: int
    id: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Attrs


@dataclass(frozen=True)
class Tape:
    """One captured piece of a program: a dialect, its version, and the ops in order."""

    dialect: str
    version: int
    entries: tuple[Entry, ...]


def capture(choice: Choice, source: Source, catalogue: Catalogue) -> tuple[Tape, ...]:
    """The tapes that the compiler accepts; none if the front end calls kernels op by op.

    Raises NoCommonIR, GraphBreak or DynamicShape.
    """
    front = choice["front_end"][0]
    if front.fact("mode") == "eager":
        return ()
    _check_shapes(front, choice["compiler"], source)
    pieces = _pieces(front, source)
    dialect, version = _agreed(choice, catalogue)
    tapes = tuple(emit(piece, dialect, version) for piece in pieces)
    for piece, tape in zip(pieces, tapes, strict=True):
        _same(piece, parse(tape, dialect))
    return tapes


def spoken(choice: Choice, tapes: tuple[Tape, ...], catalogue: Catalogue) -> tuple[Part, ...]:
    """Who took part in K2: who emitted the tapes and who parsed them, if there are any."""
    if not tapes:
        return ()
    dialects = catalogue.of_kind("dialect")
    met = meetings(choice["front_end"], choice["compiler"], dialects)[0]
    return met.exporter, met.importer


def _check_shapes(front: Part, compilers: tuple[Part, ...], source: Source) -> None:
    if not source.symbols:
        return
    need = f"dimension {source.symbols[0]}"
    if not front.fact("dynamic"):
        raise DynamicShape("the front end traces the program", "shapes as numbers", need)
    if any(compiler.fact("static") for compiler in compilers):
        raise DynamicShape("the compiler takes the graph", "shapes as numbers", need)


def _pieces(front: Part, source: Source) -> tuple[Graph, ...]:
    if not source.reads:
        return (source.graph,)
    if front.fact("on_break") == "raise":
        have = f"a {front.fact('mode')} capture"
        raise GraphBreak("the front end traces the program", have, f"a read of {source.reads[0]}")
    return source.segments()


def _agreed(choice: Choice, catalogue: Catalogue) -> tuple[Interface, int]:
    """The first dialect that both speak, in the newest version."""
    dialects = catalogue.of_kind("dialect")
    found = meetings(choice["front_end"], choice["compiler"], dialects)
    if not found:
        raise NoCommonIR(
            "the compiler takes what the front end emits",
            _offered([o for p in choice["front_end"] for o in p.exports], dialects),
            _offered([o for p in choice["compiler"] for o in p.imports], dialects),
        )
    return catalogue.interfaces[found[0].interface], found[0].version


def _offered(offers: list[Offer], dialects: frozenset[str]) -> str:
    offered = [f"{o.interface} {o.least} to {o.most}" for o in offers if o.interface in dialects]
    return ", ".join(offered) or "no dialect"


def numbers(dialect: Interface, version: int) -> Mapping[str, int]:
    """The number of each op that a version of a dialect has."""
    order = sorted(dialect.table, key=lambda op: (dialect.since[op], op))
    return {op: i for i, op in enumerate(order) if dialect.since[op] <= version}


def emit(graph: Graph, dialect: Interface, version: int) -> Tape:
    """Encode a graph; raises NoCommonIR for an op that the dialect's version does not have."""
    known = numbers(dialect, version)
    for node in graph.nodes:
        if node.op not in known:
            have = f"{dialect.name} {version}, of {len(known)} ops"
            raise NoCommonIR("the front end encodes the program", have, f"{node.op} ({node.id})")
    return Tape(dialect.name, version, tuple(_entry(node, known) for node in graph.nodes))


def _entry(node: Node, known: Mapping[str, int]) -> Entry:
    return Entry(known[node.op], node.id, node.inputs, node.outputs, node.attrs)


def parse(tape: Tape, dialect: Interface) -> tuple[Node, ...]:
    """The nodes that a tape stands for; raises NoCommonIR for a number that stands for nothing."""
    ops = {number: op for op, number in numbers(dialect, tape.version).items()}
    for entry in tape.entries:
        if entry.number not in ops:
            have = f"{len(ops)} ops of {dialect.name} {tape.version}"
            raise NoCommonIR("the compiler parses the program", have, f"op {entry.number}")
    return tuple(Node(e.id, ops[e.number], e.inputs, e.outputs, e.attrs) for e in tape.entries)


def _same(graph: Graph, parsed: tuple[Node, ...]) -> None:
    """What was parsed is what was written."""
    written = [(n.id, n.op, n.inputs, n.outputs, n.attrs) for n in graph.nodes]
    if written != [(n.id, n.op, n.inputs, n.outputs, n.attrs) for n in parsed]:
        raise NoCommonIR("the compiler parses the program", "another program", graph.name)
