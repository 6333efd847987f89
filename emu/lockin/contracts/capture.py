"""K2, capture: the front end writes a program in the ops of a dialect, the compiler parses it.

A dialect is a table that only grows: an op keeps its code, and a version is how far the table
goes. The front end writes in the newest version that both sides claim; a compiler reads with what
parsers it has, whatever it claims. What one cannot write, or the other cannot read, shows here.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from emu.ir.errors import DynamicShape, GraphBreak, NoCommonIR
from emu.ir.graph import Attrs, Graph, Node
from emu.ir.ops.onnx_node import ONNX_NODE, op_of_text
from emu.lockin.parts import Catalogue, Choice, Interface, Meeting, Offer, Part, meetings
from emu.lockin.source import Source


@dataclass(frozen=True)
class Code:
    """How a dialect writes an op: a spelling, and which of the ops that it spells so."""

    spelling: str
    overload: int

    def __str__(self) -> str:
        return self.spelling


@dataclass(frozen=True)
class Entry:
    """One op on a tape, by its code in the dialect."""

    code: Code
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
    met = _agreed(choice, catalogue)
    dialect = catalogue.interfaces[met.interface]
    tapes = tuple(emit(piece, dialect, met.version) for piece in pieces)
    for piece, tape in zip(pieces, tapes, strict=True):
        _check_same(piece, read(tape, met.importer, catalogue), met.importer)
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


def _agreed(choice: Choice, catalogue: Catalogue) -> Meeting:
    """Where both claim the same dialect first, in the newest version."""
    dialects = catalogue.of_kind("dialect")
    found = meetings(choice["front_end"], choice["compiler"], dialects)
    if not found:
        raise NoCommonIR(
            "the compiler takes what the front end emits",
            _offered([o for p in choice["front_end"] for o in p.exports], dialects),
            _offered([o for p in choice["compiler"] for o in p.imports], dialects),
        )
    return found[0]


def _offered(offers: list[Offer], dialects: frozenset[str]) -> str:
    offered = [f"{o.interface} {o.least} to {o.most}" for o in offers if o.interface in dialects]
    return ", ".join(offered) or "no dialect"


@lru_cache(maxsize=1024)
def codes(dialect: Interface, version: int) -> Mapping[str, Code]:
    """The code of each op that a version of a dialect has."""
    met: Counter[str] = Counter()
    found: dict[str, Code] = {}
    for op in sorted(dialect.upto(version), key=lambda op: (dialect.since[op], op)):
        spelling = dialect.table[op]
        found[op] = Code(spelling, met[spelling])
        met[spelling] += 1
    return found


def emit(graph: Graph, dialect: Interface, version: int) -> Tape:
    """Write a graph; raises NoCommonIR for an op that the dialect's version does not have."""
    known = codes(dialect, version)
    for node in graph.nodes:
        if node.op not in known:
            have = f"{dialect.name} {version}, of {len(known)} ops"
            raise NoCommonIR("the front end encodes the program", have, f"{_op(node)} ({node.id})")
    return Tape(dialect.name, version, tuple(_entry(node, known) for node in graph.nodes))


def _op(node: Node) -> str:
    """The op as the model has it: what emu leaves to the host as it is has another name."""
    return op_of_text(str(node.attrs["node"])) if node.op == ONNX_NODE else node.op


def _entry(node: Node, known: Mapping[str, Code]) -> Entry:
    return Entry(known[node.op], node.id, node.inputs, node.outputs, node.attrs)


def read(tape: Tape, compiler: Part, catalogue: Catalogue) -> tuple[Node, ...]:
    """What the first parser of a compiler that knows every op of a tape makes of it.

    Raises NoCommonIR, with the op at which the parser ends that gets furthest.
    """
    parsers: Mapping[str, int] = compiler.fact("parsers")
    furthest = 0
    for name, version in parsers.items():
        nodes = parse(tape, catalogue.interfaces[name], version)
        if len(nodes) == len(tape.entries):
            return nodes
        furthest = max(furthest, len(nodes))
    have = " and ".join(f"{name} {version}" for name, version in parsers.items()) or "no dialect"
    entry = tape.entries[furthest]
    raise NoCommonIR(_parsing(compiler), f"parsers of {have}", f"{entry.code} ({entry.id})")


def parse(tape: Tape, dialect: Interface, version: int) -> tuple[Node, ...]:
    """The nodes that a parser of a dialect makes of a tape, up to the first op it does not know."""
    ops = {code: op for op, code in codes(dialect, version).items()}
    known = takewhile(lambda entry: entry.code in ops, tape.entries)
    return tuple(Node(e.id, ops[e.code], e.inputs, e.outputs, e.attrs) for e in known)


def _parsing(compiler: Part) -> str:
    return f"{compiler.path}: facts.parsers: the compiler parses the program"


def _check_same(graph: Graph, parsed: tuple[Node, ...], compiler: Part) -> None:
    """Raise NoCommonIR unless what was parsed is what was written."""
    for written, node in zip(graph.nodes, parsed, strict=True):
        if _said(written) != _said(node):
            have, need = (f"{n.op} ({n.id})" for n in (node, written))
            raise NoCommonIR(_parsing(compiler), have, need)


def _said(node: Node) -> tuple[object, ...]:
    return node.id, node.op, node.inputs, node.outputs, node.attrs
