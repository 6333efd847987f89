"""What a horizontal group is: independent vertical groups of one kind, computed by one launch."""

from itertools import pairwise
from typing import TypeAlias

from emu.ir.body import FrozenAttrs, freeze
from emu.ir.fusion.structure import Nodes, Partition, Structure
from emu.ir.fusion.vertical import vertical_code
from emu.ir.ops import Fusion
from emu.ir.types import TensorType

Kind: TypeAlias = tuple[tuple[str, FrozenAttrs], ...]
Shapes: TypeAlias = tuple[TensorType | None, ...]


def sibling_code(structure: Structure, nodes: Nodes) -> str | None:
    """Why ``nodes`` are no group of siblings; "" if they are, None if they hang together."""
    parts = structure.components(nodes)
    if len(parts) < 2:
        return None
    if any(structure.classes[i] == Fusion.OPAQUE for i in nodes):
        return "opaque"
    codes = (vertical_code(structure, part) for part in parts)
    if code := next(filter(None, codes), ""):
        return code
    if not independent(structure, parts):
        return "dependent"
    return _unlike(structure, parts)


def independent(structure: Structure, parts: Partition) -> bool:
    """Whether no path leads from one part, which has one exit, to another."""
    bits = sum(1 << node for part in parts for node in part)
    return not any(structure.after[part[-1]] & bits for part in parts)


def _unlike(structure: Structure, parts: Partition) -> str:
    if any(kind(structure, a) != kind(structure, b) for a, b in pairwise(parts)):
        return "other-kind"
    alike = all(shapes(structure, a) == shapes(structure, b) for a, b in pairwise(parts))
    return "" if alike else "other-shape"


def kind(structure: Structure, part: Nodes) -> Kind:
    """What two siblings have alike: the anchor, or without one all ops, with attributes."""
    nodes = (structure.graph.nodes[i] for i in _leading(structure, part))
    return tuple((node.op, freeze(node.attrs)) for node in nodes)


def shapes(structure: Structure, part: Nodes) -> Shapes:
    """The types that two siblings have alike: those that the same nodes read and make."""
    graph = structure.graph
    nodes = (graph.nodes[i] for i in _leading(structure, part))
    return tuple(graph.types.get(v) for n in nodes for v in (*n.inputs, *n.outputs))


def _leading(structure: Structure, part: Nodes) -> Nodes:
    """The anchor of a vertical group, which stands first, or all of its nodes."""
    return part[:1] if structure.classes[part[0]] == Fusion.ANCHOR else part
