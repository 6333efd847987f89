"""A group made ready to run: each of its nodes bound to the arrays that it reads and writes."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from emu.ir.body import ABSENT, Body, BodyNode
from emu.ir.ops import find_op
from emu.ir.types import Array
from emu.kernels.fast.inputs import Inputs
from emu.kernels.fast.memory import Scratch, bytes_of, new, shaped
from emu.kernels.fast.run import bound, results
from emu.kernels.fast.sharing import RESHAPES, VIEWS, leaders
from emu.kernels.fast.writer import Call

QUIET: Callable[[], np.errstate] = partial(np.errstate, all="ignore")


def fast_body(body: Body, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Return the arrays of ``body.outputs`` in order; ``inputs`` are only read.

    Raises UnsupportedOp for an op without an entry in the op table.
    """
    outs = tuple(new(body.types[value]) for value in body.outputs)
    with QUIET():
        for call in bind(body, inputs, outs, Scratch()):
            call()
    return outs


def bind(
    body: Body, inputs: Sequence[Array], outputs: Sequence[Array], scratch: Scratch
) -> tuple[Call, ...]:
    """Return the steps that compute ``outputs`` from ``inputs``, each time they are called.

    Values inside lie in ``scratch``, which the steps of other groups use too, before or after. The
    weights among the inputs may be held in another order by the steps.
    """
    binder = _Binder(body, inputs, outputs, scratch)
    for at, node in enumerate(body.nodes):
        binder.node(node)
        binder.forget(at)
    return tuple(binder.calls)


class _Binder:
    """The steps so far, and where the values lie that later nodes read."""

    def __init__(
        self, body: Body, inputs: Sequence[Array], outputs: Sequence[Array], scratch: Scratch
    ) -> None:
        self.body, self.scratch = body, scratch
        self.known: dict[int, Array] = dict(enumerate(inputs))
        self.outputs = dict(zip(body.outputs, outputs, strict=True))
        self.lead = leaders(body)
        self.rooms: dict[int, Array] = {}  # by leader
        self.home: dict[int, int] = {}  # of each value that is not an input, or a view of one
        self.calls: list[Call] = []

    def node(self, node: BodyNode) -> None:
        """Add the steps of one node."""
        ins = [None if v == ABSENT else self.known[v] for v in node.ins]
        if node.op in VIEWS:
            self._view(node, ins)
        elif len(node.outs) > 1 or not self._fast(node, ins):
            made = partial(results, node.op, dict(node.attrs), ins, len(node.outs))
            self.calls.append(partial(_fill, made, [self._made(v) for v in node.outs]))

    def _fast(self, node: BodyNode, ins: Inputs) -> bool:
        call = bound(node.op, dict(node.attrs), ins, lambda: self._made(node.out))
        if call is not None:
            self.calls.append(call)
        return call is not None

    def _view(self, node: BodyNode, ins: Inputs) -> None:
        """No step at all where the result can be a view of the input, or a copy."""
        (x,) = (a for a in ins if a is not None)
        source, value = node.ins[0], node.out
        found = np.asarray(find_op(node.op, "fast executor").run(*ins, **dict(node.attrs)))
        is_view = np.may_share_memory(found, x)
        shares = self.home.get(source) == self.lead[value]
        if is_view and (shares or (value == self.lead[value] and value not in self.outputs)):
            self.known[value] = found
            if source in self.home:
                self.home[value] = self.home[source]
            return
        made = self._made(value)
        if not is_view and node.op in RESHAPES:
            made, found = made.reshape(x.shape), x
        self.calls.append(partial(np.copyto, made, found))

    def _made(self, value: int) -> Array:
        """Room for a value that is about to be made."""
        leader, type = self.lead[value], self.body.types[value]
        self.home[value] = leader
        if leader in self.outputs:
            self.known[value] = self.outputs[leader].reshape(type.dims)
            return self.known[value]
        if leader not in self.rooms:
            self.rooms[leader] = self.scratch.take(bytes_of(type))
        self.known[value] = shaped(self.rooms[leader], type)
        return self.known[value]

    def forget(self, at: int) -> None:
        """Give back the room of what nobody reads after node ``at``."""
        readers = self.body.readers
        for value in [v for v in self.known if readers.get(v, (-1,))[-1] <= at]:
            del self.known[value]
        alive = {self.home[v] for v in self.known if v in self.home}
        for leader in [leader for leader in self.rooms if leader not in alive]:
            self.scratch.give(self.rooms.pop(leader))


def _fill(results: Callable[[], tuple[Array, ...]], rooms: Sequence[Array]) -> None:
    for room, found in zip(rooms, results(), strict=False):
        np.copyto(room, found)
