"""K4, layouts: on each edge of the program, what its maker, its reader and the chip all take.

A library and a chip name layouts, which files spell as index maps; these are executed on an array.
What is left of them is the domain of a kernel. Where the domains of an edge have nothing in common
its value is converted, by a kernel of its own that moves all its bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from emu.ir.errors import LayoutUnrepresentable
from emu.ir.graph import Graph, Node
from emu.ir.layout import ROW_MAJOR
from emu.ir.ops import OPS, Fusion
from emu.lockin.bundles import agreed
from emu.lockin.contracts.kernels import instead
from emu.lockin.layouts import claimed, lies_in
from emu.lockin.parts import Bundle, Catalogue, Choice, Part
from emu.lockin.source import Source
from emu.lockin.ways import Way, Ways

ROWS = frozenset((ROW_MAJOR,))
HOST = "the host"  # who reads the outputs of a program


@dataclass(frozen=True)
class Negotiated:
    """What each edge, a value and the id of its reader, can lie in; nothing if it is converted."""

    domains: Mapping[tuple[str, str], frozenset[str]]

    @property
    def converted(self) -> tuple[tuple[str, str], ...]:
        """The edges whose value must be converted."""
        return tuple(edge for edge, domain in self.domains.items() if not domain)


def negotiate(choice: Choice, source: Source, catalogue: Catalogue) -> Negotiated:
    """The domain of every edge of the program.

    Raises LayoutUnrepresentable for a layout that loses elements, a product without a layout that
    kernels and chip take, and an edge that nobody can convert.
    """
    kernels, device = choice["kernels"], choice["device"][0]
    held = claimed(device, catalogue)
    shared = {part: agreed(part, device, catalogue) for part in kernels}
    options = _Table(source.ways, shared, held).all_options(source.graph)
    for node in source.graph.nodes:
        if not options[node.id]:
            raise _refusal(f"{node.op} ({node.id}) finds a layout", kernels, device)
    _check_held(source.graph, held, device)
    edges = _edges(source.graph, options)
    for value, reader in (edge for edge, (made, read) in edges.items() if not made & read):
        _check_conversion(f"{value} for {reader}", edges[value, reader], choice, shared, catalogue)
    return Negotiated({edge: made & read for edge, (made, read) in edges.items()})


def can_convert(choice: Choice, catalogue: Catalogue) -> bool:
    """Whether compiled code or the host converts values that no library can."""
    front = choice["front_end"][0]
    if front.fact("mode") == "eager":
        return front.fact("on_missing") == "host"
    return instead(choice["compiler"], catalogue) != "raise"


@dataclass(frozen=True)
class _Table:
    ways: Mapping[str, Ways]
    shared: Mapping[Part, frozenset[str]]
    held: frozenset[str]

    def all_options(self, graph: Graph) -> dict[str, Ways]:
        """The ways of each node by its id; equal nodes are asked for once."""
        known: dict[int, Ways] = {}
        for node in graph.nodes:
            key = id(self.ways[node.id])
            if key not in known:
                known[key] = self.options(node)
        return {node.id: known[id(self.ways[node.id])] for node in graph.nodes}

    def options(self, node: Node) -> Ways:
        """The ways in which a kernel and the chip take a node.

        What no library has a kernel for is row-major, if the chip holds that.
        """
        ways = self.ways[node.id]
        found = tuple(way for way in ways if self.takes(way))
        known = any(way.is_taken(part.fact("depth")) for part in self.shared for way in ways)
        if found or (known and OPS[node.op].fusion == Fusion.ANCHOR):
            return found
        return tuple(way for way in ways[:1] if way.lies_in(self.held))

    def takes(self, way: Way) -> bool:
        """Whether a library takes a way in layouts that it shares with the chip."""
        return any(
            way.lies_in(layouts) and way.is_taken(part.fact("depth"))
            for part, layouts in self.shared.items()
        )


Made = frozenset[str]
Edges = Mapping[tuple[str, str], tuple[Made, Made]]


def _edges(graph: Graph, options: Mapping[str, Ways]) -> Edges:
    """For each edge, the layouts that its maker and those that its reader take.

    The host gives inputs and takes outputs row-major; constants are stored as they are read.
    """
    made = {value: ROWS for value in graph.inputs}
    edges: dict[tuple[str, str], tuple[Made, Made]] = {}
    for node in graph.nodes:
        ways = options[node.id]
        for place, value in enumerate(node.inputs):
            if value in made:
                edges[value, node.id] = made[value], frozenset(w.sides.ins[place] for w in ways)
        made |= dict.fromkeys(node.outputs, frozenset(way.sides.outs for way in ways))
    return edges | {(value, HOST): (made[value], ROWS) for value in graph.outputs if value in made}


def _check_held(graph: Graph, held: frozenset[str], device: Part) -> None:
    """Raise LayoutUnrepresentable unless the chip holds what the host gives it and takes."""
    for value in (*graph.inputs, *graph.outputs):
        if not lies_in(graph.types[value], held):
            raise LayoutUnrepresentable(f"the host hands {value} over", _listed(device), ROW_MAJOR)


def _check_conversion(
    what: str,
    edge: tuple[Made, Made],
    choice: Choice,
    shared: Mapping[Part, frozenset[str]],
    catalogue: Catalogue,
) -> None:
    """Raise LayoutUnrepresentable unless a library, compiled code or the host converts an edge."""
    made, read = edge
    if any(layouts & made and layouts & read for layouts in shared.values()):
        return
    if not can_convert(choice, catalogue):
        have, need = (" or ".join(sorted(side)) for side in edge)
        raise LayoutUnrepresentable(f"{what} is converted, and by nobody", have, need)


def _refusal(what: str, kernels: Bundle, device: Part) -> LayoutUnrepresentable:
    return LayoutUnrepresentable(what, _listed(device), " and ".join(map(_listed, kernels)))


def _listed(part: Part) -> str:
    """How many layouts a part takes, and their names."""
    names: list[str] = part.fact("layouts")
    side = "on the chip" if part.slot == "device" else "of the kernels"
    return f"{len(names)} {side} ({', '.join(names) or 'none'})"
