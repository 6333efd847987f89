"""A whole group: its nodes in order, on whole arrays, in as little memory as they need.

What bounds the time of a group after its anchor is touching memory, so elementwise nodes work in
place. An array may be overwritten if this run made it, nobody reads it later, and no other live
value is a view of it.
"""

from collections.abc import Sequence

import numpy as np

from emu.ir.body import ABSENT, Body, BodyNode
from emu.ir.types import Array
from emu.kernels.fast.run import WRITERS, computed, meaning


def fast_body(body: Body, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Return the arrays of ``body.outputs`` in order; ``inputs`` are only read.

    An output can be a view of an input where the op table says so (Identity, Reshape). Raises
    UnsupportedOp for an op without an entry in the op table.
    """
    live: dict[int, Array] = dict(enumerate(inputs))
    owned: set[int] = set()
    for at, node in enumerate(body.nodes):
        over = _over_after(body, at, node)
        results = _results(node, live, [live[v] for v in over if _free(v, node, live, owned)])
        if results is None:
            results = meaning(node.op, dict(node.attrs), _ins(node, live))
        else:
            owned.update(node.outs)
        live.update(zip(node.outs, results, strict=False))
        for value in over:
            live.pop(value, None)
    return tuple(live[v] for v in body.outputs)


def _ins(node: BodyNode, live: dict[int, Array]) -> list[Array | None]:
    return [None if v == ABSENT else live[v] for v in node.ins]


def _over_after(body: Body, at: int, node: BodyNode) -> list[int]:
    """Values made in the body that nobody needs once node ``at`` has run."""
    computed_here = [v for v in dict.fromkeys((*node.ins, *node.outs)) if v >= body.inputs]
    return [
        v for v in computed_here if v not in body.outputs and body.readers.get(v, (at,))[-1] == at
    ]


def _free(value: int, node: BodyNode, live: dict[int, Array], owned: set[int]) -> bool:
    """Whether ``node`` may write its result over ``value``."""
    writer = WRITERS.get(node.op)
    if writer is None or value not in owned or value not in node.ins:
        return False
    if not writer.ufunc and (value != node.ins[0] or node.ins.count(value) > 1):
        return False
    if not live[value].flags.c_contiguous:
        return False
    others = (array for other, array in live.items() if other != value)
    return not any(np.may_share_memory(live[value], other) for other in others)


def _results(
    node: BodyNode, live: dict[int, Array], spares: list[Array]
) -> tuple[Array, ...] | None:
    if len(node.outs) > 1:
        return None
    found = computed(node.op, dict(node.attrs), _ins(node, live), spares)
    return None if found is None else (found,)
