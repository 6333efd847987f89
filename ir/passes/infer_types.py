"""Give every value the type that the type rules find, from the inputs on."""

from collections.abc import Mapping
from dataclasses import replace

from emu.ir.errors import InputError, ModelError, UnboundDimension
from emu.ir.graph import Graph, Node
from emu.ir.ops import find_op
from emu.ir.types import TensorType


def infer_types(graph: Graph) -> Graph:
    """Return ``graph`` with inferred types; what the file said of computed values is replaced.

    The rules are what emu computes by, so they are right where a file is stale. Raises ModelError
    that quotes the node, UnsupportedOp, or UnboundDimension for a symbolic input.
    """
    types = {name: _bound(graph, name) for name in graph.inputs}
    types |= {name: constant.type for name, constant in graph.constants.items()}
    for node in graph.nodes:
        types.update(zip(node.outputs, output_types(node, types), strict=True))
    return replace(graph, types=types)


def output_types(node: Node, types: Mapping[str, TensorType]) -> tuple[TensorType, ...]:
    """Return the types of a node's outputs; raise ModelError that quotes the node."""
    rule = find_op(node.op, f"node '{node.id}'").infer
    try:
        found = rule([types[v] if v else None for v in node.inputs], node.attrs)
    except InputError as error:
        raise type(error)(f"node '{node.id}' ({node}): {error}") from error
    if len(found) != len(node.outputs):
        raise ModelError(
            f"node '{node.id}' ({node}): {node.op} has {len(found)} outputs, not "
            f"{len(node.outputs)}"
        )
    return found


def _bound(graph: Graph, name: str) -> TensorType:
    declared = graph.types[name]
    if symbol := next((d for d in declared.shape if isinstance(d, str)), None):
        raise UnboundDimension(
            f"{graph.name}: dimension '{symbol}' of input '{name}' has no number"
        )
    return declared
