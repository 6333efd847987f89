"""Give values the layouts that kernels ask for, with as few bytes of conversions as possible.

For one scheme each node either works on values in the scheme's layout or leaves them row-major.
Products that ask for the layout have it, ops that have no place for it do not, and the rest
follows. The cheapest choice is a minimum cut, in which a value costs the bytes of its conversion if
a reader wants another layout than its producer makes, and as many again if it would have stayed on
chip without that. Of equal choices it is the one with the most nodes in the layout.
"""

from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from emu.ir.graph import Graph, Node
from emu.ir.layout import ROW_MAJOR, Scheme
from emu.ir.mincut import source_side
from emu.ir.ops import OPS, Fusion
from emu.ir.passes.operand_layouts import Sides, lies, sides
from emu.ir.passes.relayout import with_layouts

Takes: TypeAlias = Callable[[Node, Sides], bool]  # whether a kernel takes a node so
Arc: TypeAlias = tuple[tuple[Hashable, Hashable], int]

ROWS, TILES = "row-major side", "layout side"
NEVER = 1 << 80  # more than the bytes of any graph


def assign_layouts(
    graph: Graph, schemes: Sequence[Scheme], asking: Container[str], takes: Takes
) -> Graph:
    """Return ``graph`` with the layouts of ``schemes``, each where those before it left room.

    ``asking`` are the ids of products that must be in a layout if a kernel takes them so. Every
    conversion that remains is a Relayout node; where no product asks, the graph stays as it is.
    """
    chosen: dict[str, Sides] = {}
    for scheme in schemes:
        chosen |= _chosen(graph, scheme, asking, chosen.keys(), takes)
    return with_layouts(graph, chosen) if chosen else graph


def _chosen(
    graph: Graph, scheme: Scheme, asking: Container[str], taken: Container[str], takes: Takes
) -> dict[str, Sides]:
    """The nodes that work in the layout of a scheme, none of those in ``taken``."""
    left = [node for node in graph.nodes if node.id not in taken]
    found = ((node, sides(graph, node, scheme)) for node in left)
    able = {node.id: how for node, how in found if how is not None and takes(node, how)}
    asking = frozenset(name for name in able if name in asking)
    if not asking:
        return {}
    rows = source_side(dict(_arcs(graph, scheme, able, asking)), ROWS, TILES)
    return {name: how for name, how in able.items() if ("node", name) not in rows}


def _arcs(
    graph: Graph, scheme: Scheme, able: Mapping[str, Sides], asking: Container[str]
) -> Iterator[Arc]:
    """What is paid for each pair of which the first is row-major and the second in the layout."""
    for node in graph.nodes:
        place = ("node", node.id)
        if node.id not in able:
            yield (ROWS, place), NEVER
        elif node.id in asking:
            yield (place, TILES), NEVER
    for value in dict.fromkeys((*graph.inputs, *graph.producer)):
        yield from _conversions(graph, scheme, able, value)


def _conversions(
    graph: Graph, scheme: Scheme, able: Mapping[str, Sides], value: str
) -> Iterator[Arc]:
    """A value is converted once for all readers that want it otherwise than it is made."""
    readers = [
        ("node", n.id) for n in graph.readers.get(value, ()) if _wants(n, value, scheme, able)
    ]
    others = len(graph.readers.get(value, ())) > len(readers) or value in graph.outputs
    made = graph.producer.get(value)
    same = lies(graph, value, scheme) == ROW_MAJOR
    if same or (not readers and (made is None or made.id not in able)):
        return
    size = graph.types[value].bytes + replace(graph.types[value], layout=scheme.data).bytes
    size *= 2 if _stays_inside(graph, value) else 1
    maker = ROWS if made is None else ("node", made.id)
    yield (maker, ("to layout", value)), size
    yield (("to rows", value), maker), size
    for reader in readers:
        yield (("to layout", value), reader), NEVER
        yield (reader, ("to rows", value)), NEVER
    if others:
        yield (ROWS, ("to rows", value)), NEVER


def _stays_inside(graph: Graph, value: str) -> bool:
    """Whether a value would not leave its group, so that a conversion must first have it stored.

    Its producer is one that takes an elementwise follower along, and its only reader is such.
    """
    made, readers = graph.producer.get(value), graph.readers.get(value, ())
    if made is None or len(readers) != 1 or value in graph.outputs:
        return False
    joins = OPS[made.op].fusion not in (Fusion.REDUCTION, Fusion.OPAQUE)
    return joins and OPS[readers[0].op].fusion <= Fusion.BROADCAST


def _wants(node: Node, value: str, scheme: Scheme, able: Mapping[str, Sides]) -> bool:
    """Whether a node in the layout reads a value in it."""
    how = able.get(node.id)
    return how is not None and (value, scheme.data) in zip(node.inputs, how.ins, strict=True)
