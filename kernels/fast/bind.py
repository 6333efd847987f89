"""A group made ready to run: each of its nodes bound to the arrays that it reads and writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from emu.ir.body import ABSENT, Body, BodyNode
from emu.ir.ops import find_op
from emu.ir.types import Array, type_of
from emu.kernels.fast.chain import chain
from emu.kernels.fast.fused import Fusion, fusion
from emu.kernels.fast.inputs import Inputs
from emu.kernels.fast.lying import laid, lie_alike, wanted
from emu.kernels.fast.memory import Scratch, aligned, bytes_of, contents, in_room, put, shaped
from emu.kernels.fast.movement import MOVES
from emu.kernels.fast.run import bound, is_covered, ready
from emu.kernels.fast.sharing import VIEWS, leaders
from emu.kernels.fast.straight import straight
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call

QUIET: Callable[[], np.errstate] = partial(np.errstate, all="ignore")


@dataclass(frozen=True)
class Bound:
    """Steps that compute the outputs of a group each time they are called, in order."""

    calls: tuple[Call, ...]
    outputs: tuple[Array, ...]


def fast_body(body: Body, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Return the arrays of ``body.outputs`` in order; ``inputs`` are only read.

    Raises UnsupportedOp for an op without an entry in the op table.
    """
    rooms = [aligned(bytes_of(body.types[value])) for value in body.outputs]
    given = [in_room(value, body.types[i]) for i, value in enumerate(inputs)]
    with QUIET():
        bound = bind(body, given, rooms, Scratch())
        for call in bound.calls:
            call()
    return tuple(map(contents, bound.outputs))


def bind(body: Body, inputs: Sequence[Array], rooms: Sequence[Array], scratch: Scratch) -> Bound:
    """Bind the nodes of a body to its inputs, and to ``rooms`` (ui8[...]) for its outputs.

    Values inside lie in ``scratch``, which the steps of other groups use too, before or after.
    ``body.weights`` among the inputs must not change; steps may hold them in another order.
    """
    binder = _Binder(body, inputs, rooms, scratch)
    at = 0
    while at < len(body.nodes):
        upto = binder.nodes(at)
        for done in range(at, upto + 1):
            binder.forget(done)
        at = upto + 1
    return Bound(tuple(binder.calls), tuple(binder.made[v] for v in body.outputs))


class _Binder:
    """The steps so far, and where the values lie that later nodes read."""

    def __init__(
        self, body: Body, inputs: Sequence[Array], rooms: Sequence[Array], scratch: Scratch
    ) -> None:
        self.body, self.scratch = body, scratch
        self.known: dict[int, Array] = dict(enumerate(inputs))
        self.outputs = dict(zip(body.outputs, rooms, strict=True))
        self.made: dict[int, Array] = {}  # outputs as they lie
        self.lead = leaders(body)
        self.rooms: dict[int, Array] = {}  # by leader
        self.home: dict[int, int] = {}  # of each value that is not an input, or a view of one
        self.calls: list[Call] = []

    def nodes(self, at: int) -> int:
        """Add the steps of node ``at``, and of those that go with it; return the last of them."""
        found = fusion(self.body, at, self.known)
        if found is not None and self._fused(self.body.nodes[at].op, found):
            return found.upto
        run = chain(self.body, at, self.known, self._room)
        if run is not None:
            for value, array in run.made.items():
                self._keep(value, array, self.lead[value])
            self.calls.append(run.call)
            return run.upto
        self._node(self.body.nodes[at])
        return at

    def _fused(self, op: str, found: Fusion) -> bool:
        value = self.body.nodes[found.upto].out
        out = self._room(value, wanted(op, found.ins, self.body.types[value]))
        call = found.bind(out)
        if call is not None:
            self._keep(value, out, self.lead[value])
            self.calls.append(call)
        return call is not None

    def _node(self, node: BodyNode) -> None:
        ins = [None if v == ABSENT else self.known[v] for v in node.ins]
        attrs = dict(node.attrs)
        if node.op in VIEWS:
            self._view(node, ins)
        elif len(node.outs) == 1 and is_covered(node.op, attrs, ins):
            out = self._made(node.out, node.op, ins)
            self.calls.append(bound(node.op, attrs, self._apart(ins, out), out))
        else:
            rooms = [self._made(v, node.op, ins) for v in node.outs]
            steps = self._moves(node, [a for a in ins if a is not None], rooms)
            if steps is None:
                steps = straight(node.op, attrs, ins, rooms[0])
            made = ready(node.op, attrs, ins, len(node.outs))
            self.calls += (partial(_fill, made, rooms),) if steps is None else steps

    def _moves(
        self, node: BodyNode, ins: list[Array], rooms: list[Array]
    ) -> tuple[Call, ...] | None:
        """The steps of an op that moves elements; None of another, or if there are none."""
        if node.op not in MOVES:
            return None
        return MOVES[node.op](ins, dict(node.attrs), rooms)

    def _apart(self, ins: Inputs, out: Array) -> list[Array | None]:
        """Inputs that can be read while ``out`` is written: over itself only if they lie alike."""
        return [a if a is None or lie_alike(a, out) else self._copied(a) for a in ins]

    def _copied(self, x: Array) -> Array:
        room = shaped(aligned(x.nbytes), type_of(x))
        self.calls.append(copy_step(room, x))
        return room

    def _view(self, node: BodyNode, ins: Inputs) -> None:
        """No step at all where the result can be a view of the input, or a copy."""
        (x,) = (a for a in ins if a is not None)
        source, value = node.ins[0], node.out
        found = np.asarray(find_op(node.op, "fast executor").run(*ins, **dict(node.attrs)))
        is_view = np.may_share_memory(found, x)
        shares = self.home.get(source) == self.lead[value]
        if is_view and (shares or (value == self.lead[value] and value not in self.outputs)):
            self._keep(value, found, self.home.get(source))
            return
        made = self._made(value, node.op, ins)
        if is_view:
            self.calls.append(copy_step(made, found))
        else:
            self.calls.append(_reshaping(made, x))

    def _room(self, value: int, image: bool) -> Array:
        """Room for a value that is about to be made, with channels innermost if it is an image."""
        leader, type = self.lead[value], self.body.types[value]
        if leader in self.outputs:
            room = self.outputs[leader]
        else:
            if leader not in self.rooms:
                self.rooms[leader] = self.scratch.take(bytes_of(type))
            room = self.rooms[leader]
        return laid(room, type, image)

    def _made(self, value: int, op: str, ins: Inputs) -> Array:
        """Room for the result of an op, where later nodes find it."""
        room = self._room(value, wanted(op, ins, self.body.types[value]))
        self._keep(value, room, self.lead[value])
        return room

    def _keep(self, value: int, array: Array, home: int | None) -> None:
        self.known[value] = array
        if home is not None:
            self.home[value] = home
        if value in self.outputs:
            self.made[value] = array

    def forget(self, at: int) -> None:
        """Give back the room of what nobody reads after node ``at``."""
        readers = self.body.readers
        for value in [v for v in self.known if readers.get(v, (-1,))[-1] <= at]:
            del self.known[value]
        alive = {self.home[v] for v in self.known if v in self.home}
        for leader in [leader for leader in self.rooms if leader not in alive]:
            self.scratch.give(self.rooms.pop(leader))


def _reshaping(made: Array, x: Array) -> Call:
    if made.flags.c_contiguous and not np.may_share_memory(made, x):
        return copy_step(made.reshape(x.shape), x)
    return lambda: np.copyto(made, x.reshape(made.shape))


def _fill(results: Callable[[], tuple[Array, ...]], rooms: Sequence[Array]) -> None:
    for room, found in zip(rooms, results(), strict=False):
        put(room, found)
