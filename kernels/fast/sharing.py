"""Which values of a group can be computed in the same memory, one after the other.

What bounds the time of a group after its anchor is touching memory, so elementwise nodes work in
place, and the anchor itself writes to where the group's output will lie.
"""

from emu.ir.body import Body, BodyNode
from emu.ir.ops.movement import RESHAPES
from emu.kernels.fast.run import WRITERS
from emu.kernels.fast.writer import ANY, NONE

# Ops whose result is the same dense elements in the same order.
SAME = RESHAPES | {"Identity", "Relayout"}
# Ops whose result is a view of their input, or could be if that lay otherwise.
VIEWS = SAME | {"Transpose", "Slice", "Expand"}


def leaders(body: Body) -> dict[int, int]:
    """For each value made in a body, the last value that is computed in the same memory."""
    lead: dict[int, int] = {}
    for node in reversed(body.nodes):
        for value in node.outs:
            lead.setdefault(value, value)
        if (over := _overwritten(body, node)) is not None:
            lead[over] = lead[node.out]
    return lead


def _overwritten(body: Body, node: BodyNode) -> int | None:
    """The input that a node writes its result over, None if there is none."""
    if len(node.outs) > 1:
        return None
    fitting = (v for v in _candidates(node) if _alike(body, v, node) and _own(body, v))
    return next(fitting, None)


def _candidates(node: BodyNode) -> tuple[int, ...]:
    if node.op in SAME:
        return node.ins[:1]
    over = WRITERS[node.op].over if node.op in WRITERS else NONE
    if over == ANY:
        return node.ins
    return node.ins[:1] if over != NONE and node.ins.count(node.ins[0]) == 1 else ()


def _alike(body: Body, value: int, node: BodyNode) -> bool:
    had, made = body.types[value], body.types[node.out]
    if node.op in SAME:
        return had.dtype == made.dtype and had.elements == made.elements
    return (had.dtype, had.shape) == (made.dtype, made.shape)


def _own(body: Body, value: int) -> bool:
    """Whether a value has memory of its own, and one reader, and does not leave the body."""
    if value < body.inputs or value in body.outputs or len(body.readers[value]) > 1:
        return False
    maker = body.nodes[body.producer[value]]
    return maker.op not in VIEWS or (maker.op in SAME and _own(body, maker.ins[0]))
