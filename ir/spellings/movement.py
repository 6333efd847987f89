"""Movement in another place: reshapes and transposes pass by what computes element by element."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from emu.ir.graph import Constant, Graph, Node
from emu.ir.ops import OPS, Fusion
from emu.ir.ops.attributes import integers
from emu.ir.passes.rewriting import fresh
from emu.ir.spellings.constants import derived
from emu.ir.spellings.site import Site, Spelling, inner
from emu.ir.types import Array

Ints = tuple[int, ...]
AXIS_BOUND = ("BatchNormalization", "BiasAdd")  # they count the dimension of their vectors


def bias(graph: Graph, node: Node) -> Site | None:
    """reshape(x + b[C]) is reshape(x) + reshape(b) where the reshape cuts C, and back."""
    if node.op == "Reshape":
        return _bias_after(graph, node)
    return _bias_before(graph, node) if node.op == "Add" else None


def _bias_after(graph: Graph, reshape: Node) -> Site | None:
    add = inner(graph, reshape.inputs[0], "Add")
    x, b = _with_constant(graph, add) if add is not None else ("", "")
    if add is None or not b or len(graph.constants[b].type.shape) != 1:
        return None
    (channels,), dims = graph.constants[b].type.dims, graph.types[reshape.output].dims
    cut = next((i for i in range(len(dims)) if prod(dims[i:]) == channels), None)
    if cut is None or graph.types[x].dims[-1:] != (channels,):
        return None
    return _swapped(graph, reshape, add, x, {b: _shaped(graph.constants[b], dims[cut:])})


def _bias_before(graph: Graph, add: Node) -> Site | None:
    x, b = _with_constant(graph, add)
    reshape = inner(graph, x, "Reshape") if b else None
    if reshape is None:
        return None
    before, constant = graph.types[reshape.inputs[0]].dims, graph.constants[b]
    dims, shape = graph.types[add.output].dims, constant.type.dims
    if not shape or dims[-len(shape) :] != shape or before[-1:] != (prod(shape),):
        return None
    if graph.types[reshape.output].dims != dims:
        return None
    return _swapped(graph, add, reshape, reshape.inputs[0], {b: _shaped(constant, (prod(shape),))})


def _shaped(constant: Constant, shape: Ints) -> Constant:
    return derived(f"bias as {shape}", [constant], shape, _as_it_is)


def _as_it_is(array: Array) -> Array:
    return array  # `derived` gives it the shape


def _with_constant(graph: Graph, node: Node) -> tuple[str, str]:
    """The computed and the constant operand of a node of two, "" twice if it has no such pair."""
    left, right = node.inputs
    if (left in graph.constants) == (right in graph.constants):
        return "", ""
    return (right, left) if left in graph.constants else (left, right)


def transpose(graph: Graph, node: Node) -> Site | None:
    """transpose(f(x)) is f(transpose(x)) for f element by element, and the other way round.

    A bias passes by a reshape that cuts it as well: transpose(reshape(x + b)).
    """
    if node.op == "Transpose":
        before = inner(graph, node.inputs[0])
        if before is not None and before.op == "Reshape":
            return _bias_after_both(graph, before, node)
        return _moved(graph, node, before, node) if before is not None else None
    turn = next((t for v in node.inputs if (t := inner(graph, v, "Transpose"))), None)
    return _moved(graph, node, node, turn) if turn is not None else None


def _bias_after_both(graph: Graph, reshape: Node, turn: Node) -> Site | None:
    """transpose(reshape(x)) + b for transpose(reshape(x + b))."""
    site = _bias_after(graph, reshape)
    if site is None:
        return None
    cut, add = site.nodes
    dims = graph.types[reshape.output].dims
    ((name, constant),) = site.constants.items()
    between = fresh(graph, f"{turn.output}.before")
    early = replace(turn, inputs=cut.outputs, outputs=(between,))
    names = {cut.output: between}
    late = replace(add, inputs=tuple(names.get(v, v) for v in add.inputs), outputs=turn.outputs)
    turned = _transposed(constant, _order(turn, len(dims)), len(dims))
    return Site((*site.gone, turn.id), (cut, early, late), {name: turned})


def _order(turn: Node, rank: int) -> Ints:
    return integers(turn.attrs, "perm") or tuple(reversed(range(rank)))


def _moved(graph: Graph, last: Node, simple: Node, turn: Node) -> Site | None:
    """Let ``simple`` and ``turn`` change places; ``last`` is the one of both that was second."""
    computed = [v for v in simple.inputs if v and v not in graph.constants]
    if OPS[simple.op].fusion > Fusion.BROADCAST or simple.op in AXIS_BOUND or len(computed) != 1:
        return None
    shape = graph.types[simple.output].dims
    if graph.types[computed[0]].dims != shape:
        return None
    rank = len(shape)
    perm = _order(turn, rank)
    order = perm if last is turn else tuple(int(i) for i in np.argsort(perm))
    constants = {v: graph.constants[v] for v in simple.inputs if v in graph.constants}
    moved = {v: _transposed(c, order, rank) for v, c in constants.items() if c.scalar is None}
    if last is turn:
        return _swapped(graph, turn, simple, computed[0], moved)
    return _swapped(graph, simple, turn, turn.inputs[0], moved)


def _transposed(constant: Constant, order: Ints, rank: int) -> Constant:
    dims = constant.type.dims
    whole = (1,) * (rank - len(dims)) + dims

    def make(array: Array) -> Array:
        return array.reshape(whole).transpose(order)

    return derived(f"turned {order}", [constant], tuple(whole[i] for i in order), make)


def _swapped(
    graph: Graph, last: Node, before: Node, x: str, constants: Mapping[str, Constant]
) -> Site:
    """``last`` now reads ``x`` and ``before`` reads what it makes; each has its own constants.

    ``constants`` replace those that one of the two reads, under new names.
    """
    names = {old: fresh(graph, f"{last.output}.{old}") for old in constants}
    between = fresh(graph, f"{last.output}.before")
    early, late = replace(last, outputs=(between,)), replace(before, outputs=last.outputs)
    renamed = names | {before.output: x}
    first = replace(early, inputs=tuple(renamed.get(v, v) for v in early.inputs))
    renamed = names | {x: between}
    second = replace(late, inputs=tuple(renamed.get(v, v) for v in late.inputs))
    made = {names[old]: constant for old, constant in constants.items()}
    return Site((before.id, last.id), (first, second), made)


MOVEMENT = (
    Spelling("bias", "a bias added before or after the reshape that cuts it", bias),
    Spelling("transpose", "transposes before or after what is element by element", transpose),
)
