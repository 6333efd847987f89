"""Runs of elementwise nodes and folds of rows as one program, so that memory is touched once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TypeAlias, cast

import numpy as np

from emu.ir.body import ABSENT, Body, BodyNode, FrozenAttrs, freeze
from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.code import Code
from emu.kernels.fast.inputs import integer
from emu.kernels.fast.lying import is_image, lie_alike
from emu.kernels.fast.program import program
from emu.kernels.fast.rows import Frame, Ints, Laid, Operand
from emu.kernels.fast.steps import (
    CHOICES,
    FOLDING,
    MASKS,
    REDUCING,
    SCALED,
    STEPS_OF,
    WHOLE_POWER,
    scale_and_shift,
    whole_exponent,
)
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call, Covers, InTurn, Writer, always

LONGEST = 2**15  # elements of a row that several nodes share; registers of them fit a core's cache
BY_CHANNEL = ("BiasAdd", SCALED)  # all inputs but the first have one number for each channel
THIN, SHORT = 32, 64  # elements of a row
Room: TypeAlias = Callable[[int, bool], Array]
Input: TypeAlias = tuple[int, int]  # the result of a node, and which input of it


@dataclass(frozen=True)
class Chain:
    """A step for the nodes up to ``upto``, and the values that it leaves in memory."""

    call: Call
    upto: int
    made: Mapping[int, Array]


def chain(body: Body, at: int, known: Mapping[int, Array], room: Room) -> Chain | None:
    """The longest run of nodes from ``at`` that one program computes; None if there is none.

    ``room`` gives room for a value, as an image with channels innermost or not.
    """
    run = _run(body, at, known)
    if run is None:
        return None
    ins = {v: known[v] for n in run.nodes for v in n.ins if v in known}
    whole = [a for a in ins.values() if a.ndim == len(run.shape)]
    image = run.folded is None and any(is_image(a) for a in whole)
    upto = at + len(run.nodes) - 1
    rooms = {n.out: room(n.out, image) for n in run.nodes if _stays(body, n.out, upto)}
    return Chain(_computing(run, ins, rooms, image), upto, rooms)


def alone(op: str, ins: Sequence[Array], attrs: Attrs, out: Array) -> Call:
    """The step that computes one node into ``out``, with the same bits as in a chain."""
    node = BodyNode(op, tuple(range(len(ins))), (len(ins),), freeze(attrs))
    shape = ins[0].shape if op in REDUCING else out.shape
    run = _Run((node,), shape, _folded(node, len(shape)))
    image = run.folded is None and is_image(out)
    arrays = map(np.asarray, ins)  # what numpy computes from numbers is no array
    return _computing(run, dict(enumerate(arrays)), {node.out: out}, image)


def row_writer(op: str, over: int, covers: Covers = always) -> Writer:
    """How to compute one op as a program of rows."""
    return Writer(lambda ins, attrs, out: alone(op, ins, attrs, out), over, covers)


def folds_last(op: str, attrs: Attrs, rank: int) -> bool:
    """Whether a node of FOLDING folds the last dimensions of its input, and none before them."""
    return _folded(BodyNode(op, (0,), (1,), freeze(attrs)), rank) is not None


@dataclass(frozen=True)
class _Run:
    """Nodes over one shape; those that fold do so from dimension ``folded`` on."""

    nodes: tuple[BodyNode, ...]
    shape: Ints
    folded: int | None
    derived: Mapping[Input, Array] = field(default_factory=dict[Input, Array])
    fixed: frozenset[int] = frozenset()  # values that never change

    def with_node(
        self, body: Body, node: BodyNode, derived: Mapping[Input, Array]
    ) -> "_Run | None":
        """The run with one more node, which reads what is ``derived`` instead of some inputs.

        None if that one works on another shape, or chooses by truths that lie in memory.
        """
        if not _is_elementwise(body, node):
            return None
        folded = self.folded
        if node.op in FOLDING:
            folded = _folded(node, len(self.shape))
            if body.types[node.ins[0]].dims != self.shape or folded is None:
                return None
            if self.folded not in (None, folded) or prod(self.shape[folded:]) > LONGEST:
                return None
        if not self._is_over_same(body, node, folded):
            return None
        derived = {**self.derived, **derived}
        return replace(self, nodes=(*self.nodes, node), folded=folded, derived=derived)

    def _is_over_same(self, body: Body, node: BodyNode, folded: int | None) -> bool:
        """Whether results are whole, or one number a row; what reads those sees them as rows."""
        made = {n.out: n for n in self.nodes}
        if any(v in made and _vanish(made[v]) for v in node.ins):
            return False
        if node.op in CHOICES and node.ins[0] not in made:
            return False
        if not all(_spreads(_seen(body, node, v), self.shape) for v in node.ins):
            return False
        dims = body.types[node.out].dims
        return dims == self.shape or (folded is not None and self._is_by_row(dims, node, folded))

    def _is_by_row(self, dims: Ints, node: BodyNode, folded: int) -> bool:
        kept = (*self.shape[:folded], *(1 for _ in self.shape[folded:]))
        return dims == kept or (_vanish(node) and dims == self.shape[:folded])


def _run(body: Body, at: int, known: Mapping[int, Array]) -> _Run | None:
    """The longest run that begins with a node, and leaves no mask in memory."""
    first, derived = _prepared(body, body.nodes[at], known)
    if not _is_elementwise(body, first):
        return None
    shape = body.types[first.ins[0] if first.op in REDUCING else first.out].dims
    runs: list[_Run] = []
    run = _Run((), shape, None, fixed=body.weights).with_node(body, first, derived)
    for node in (*body.nodes[at + 1 :], None):
        if run is None:
            break
        runs.append(run)
        run = None if node is None else run.with_node(body, *_prepared(body, node, known))
    while runs and _leaves_mask(body, runs[-1], at):
        runs.pop()
    return runs[-1] if runs else None


def _leaves_mask(body: Body, run: _Run, at: int) -> bool:
    upto = at + len(run.nodes) - 1
    return any(n.op in MASKS and _stays(body, n.out, upto) for n in run.nodes)


def _prepared(
    body: Body, node: BodyNode, known: Mapping[int, Array]
) -> tuple[BodyNode, Mapping[Input, Array]]:
    """A node as one that has steps, and what is derived once from inputs that never change.

    That is a power by a small whole number, or a normalisation by statistics; others are as is.
    """
    if node.op == "Pow" and _are_fixed(body, node.ins[1:]):
        exponent = whole_exponent(known[node.ins[1]])
        if exponent is not None:
            return replace(node, op=WHOLE_POWER, ins=node.ins[:1], attrs=_exponent(exponent)), {}
    if node.op == "BatchNormalization" and _are_fixed(body, node.ins[1:]):
        factor, shift = scale_and_shift([known[v] for v in node.ins[1:]], dict(node.attrs))
        scaled = replace(node, op=SCALED, ins=node.ins[:3], attrs=())
        return scaled, {(node.out, 1): factor, (node.out, 2): shift}
    return node, {}


def _are_fixed(body: Body, values: Sequence[int]) -> bool:
    """Whether values are f32 that never change."""
    return body.weights.issuperset(values) and all(body.types[v].dtype == "f32" for v in values)


def _exponent(exponent: int) -> FrozenAttrs:
    return (("exponent", exponent),)


def _is_elementwise(body: Body, node: BodyNode) -> bool:
    """Whether a node can be steps of a program: of f32 but for truths, with nothing absent."""
    if node.op not in STEPS_OF or len(node.outs) > 1 or "out_dtype" in dict(node.attrs):
        return False
    if ABSENT in node.ins or not body.types[node.out].elements:
        return False
    truths = (node.out,) if node.op in MASKS else node.ins[:1] if node.op in CHOICES else ()
    reals = {*node.ins, node.out}.difference(truths)
    return all(body.types[v].dtype == "f32" for v in reals)


def _folded(node: BodyNode, rank: int) -> int | None:
    """The first of the last dimensions that a node folds; None if it folds none, or others."""
    attrs = dict(node.attrs)
    if node.op not in FOLDING:
        return None
    if node.op in REDUCING:
        axes = sorted(a % rank for a in cast(Ints, attrs.get("axes") or range(rank)))
        return axes[0] if axes and axes == list(range(axes[0], rank)) else None
    first = integer(attrs, "axis", -1) % rank
    return first if node.op == "LayerNormalization" or first == rank - 1 else None


def _vanish(node: BodyNode) -> bool:
    """Whether the dimensions that a node folds are not there in its result."""
    return node.op in REDUCING and not integer(dict(node.attrs), "keepdims", 1)


def _seen(body: Body, node: BodyNode, value: int) -> Ints:
    """The shape of an input as it broadcasts to the result."""
    dims = body.types[value].dims
    if node.op in BY_CHANNEL and value in node.ins[1:]:
        return _as_channels(dims, node, len(body.types[node.out].dims))
    return dims


def _as_channels(dims: Ints, node: BodyNode, rank: int) -> Ints:
    return (*dims, *(1,) * (rank - 1 - integer(dict(node.attrs), "axis", 1) % rank))


def _spreads(shape: Ints, whole: Ints) -> bool:
    """Whether a shape broadcasts to another."""
    if len(shape) > len(whole):
        return False
    pairs = zip(reversed(shape), reversed(whole), strict=False)
    return all(a in (1, b) for a, b in pairs)


def _stays(body: Body, value: int, upto: int) -> bool:
    """Whether somebody reads a value after the program."""
    return value in body.outputs or body.readers.get(value, (-1,))[-1] > upto


def _computing(
    run: _Run, known: Mapping[int, Array], rooms: Mapping[int, Array], image: bool
) -> Call:
    """The step that runs the nodes; inputs that do not lie in rows are copied first."""
    rank = len(run.shape)
    order = (0, *range(2, rank), 1) if image else tuple(range(rank))
    maker = _Maker(run, Frame(run.shape, order, run.folded), rooms)
    return maker.call(known)


class _Maker:
    """The program of a run, and the copies before it."""

    def __init__(self, run: _Run, frame: Frame, rooms: Mapping[int, Array]) -> None:
        self.run, self.frame = run, frame
        self.outs = {v: _kept(a, len(run.shape), run.folded) for v, a in rooms.items()}
        self.before: list[Call] = []

    def call(self, known: Mapping[int, Array]) -> Call:
        """The step that computes everything."""
        ins = self._inputs(known)
        laid = self.frame.laid((*ins.values(), *self.outs.values()))
        if laid is None or self._is_thin(laid):  # what has the whole shape lies as results do
            ins = {k: a if self.frame.is_even(a) else self._whole(a) for k, a in ins.items()}
            laid = self.frame.laid((*ins.values(), *self.outs.values()))
        assert laid is not None
        held = (*ins.values(), *self.outs.values())
        last = self._program(dict(zip((*ins, *self.outs), laid.operands, strict=True)), laid, held)
        return InTurn((*self.before, last)) if self.before else last

    def _is_thin(self, laid: Laid) -> bool:
        """Whether to look up what to do with a row takes longer than to do it."""
        return self.run.folded is None and laid.rows > 1 and laid.columns < THIN

    def _inputs(self, known: Mapping[int, Array]) -> dict[Input, Array]:
        """What each node reads from outside."""
        found: dict[Input, Array] = {}
        written: list[Array] = []
        for node in self.run.nodes:
            for slot, value in ((i, v) for i, v in enumerate(node.ins) if v in known):
                key = node.out, slot
                x = self.run.derived.get(key, known[value])
                x = _shown(node, slot, x, len(self.run.shape))
                if key in self.run.derived or value in self.run.fixed:
                    x = self._lengthened(x)
                found[key] = self._usable(x, written)
            written += [self.outs[node.out]] if node.out in self.outs else []
        return found

    def _lengthened(self, x: Array) -> Array:
        """``x``; few channels, innermost and on their own, repeated along the last dimensions.

        A row of that many elements would be done before it is looked up.
        """
        shape = self.run.shape
        vector = (1, *shape[1:2], *(1 for _ in shape[2:]))
        if not self.frame.is_turned or x.shape not in (vector, vector[1:]):
            return x
        longer = [*vector]
        for d in reversed(range(2, len(shape))):
            longer[d] = shape[d] if prod(longer) < SHORT else 1
        room = self.frame.room(tuple(longer))
        np.copyto(room, x)
        return room

    def _usable(self, x: Array, written: Sequence[Array]) -> Array:
        """``x``, or a copy if it does not lie evenly, or results lie there that are none of it."""
        apart = all(lie_alike(x, out) for out in self.outs.values())
        if any(np.may_share_memory(x, out) for out in written) or not apart:
            x = self._copied(x, x.shape)
        if not self.frame.fits(x):
            x = self._copied(x, x.shape)
        return x if self.frame.fits(x) else self._whole(x)

    def _whole(self, x: Array) -> Array:
        return self._copied(x, self.frame.shape)

    def _copied(self, x: Array, shape: Ints) -> Array:
        room = self.frame.room(shape)
        self.before.append(copy_step(room, x))
        return room

    def _program(
        self, operands: Mapping[Input | int, Operand], laid: Laid, held: tuple[Array, ...]
    ) -> Call:
        code = Code(laid.columns)
        values: dict[int, int] = {}
        places: dict[int, Operand] = {}
        for node in self.run.nodes:
            before = len(code.steps)
            ins = [
                values[v] if v in values else operands[node.out, slot]
                for slot, v in enumerate(node.ins)
            ]
            term = STEPS_OF[node.op](code, ins, dict(node.attrs))
            place = operands.get(node.out)
            is_whole = place is not None and not place.is_number
            if not isinstance(term, int) or term < before:
                term = code.add("copy", term)
            if is_whole and code.is_single(term):
                term = code.spread(term)
            if place is not None:
                places[term] = place
            values[node.out] = term
        return program(code, places, laid, self.run.folded is not None, held)


def _shown(node: BodyNode, slot: int, x: Array, rank: int) -> Array:
    """An input as it broadcasts to the result."""
    return x.reshape(_as_channels(x.shape, node, rank)) if node.op in BY_CHANNEL and slot else x


def _kept(out: Array, rank: int, folded: int | None) -> Array:
    """A result with the dimensions that were folded away."""
    behind = 0 if folded is None else rank - out.ndim
    return out.reshape((*out.shape, *(1,) * behind))
