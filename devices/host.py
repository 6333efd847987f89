"""What the host costs: a call that it computes, and a copy between it and the device.

A copy crosses the link, and passes through the memory of the host: what a framework gives and takes
is a tensor in pageable memory and in an element type that the processor computes in, while the link
moves bytes of the device's own element type and layout from and to a buffer of the driver.
"""

from dataclasses import replace

from emu.devices.rates import Rates
from emu.devices.terms import Phase, Term, exact, fixed_ps, one, settle
from emu.ir.body import Body
from emu.ir.ops import OPS
from emu.ir.ops.movement import RESHAPES
from emu.ir.ops.work_rules import movement
from emu.ir.program import Copy, Step
from emu.ir.types import ROW_MAJOR, TensorType, summing_dtype
from emu.ir.work import whole_work

VIEWS = RESHAPES | {"Identity"}  # a framework returns the bytes that it was given under new dims


def at_host(type: TensorType, body: Body) -> TensorType:
    """How the host holds a value of the device for a body: row-major, narrow floats in f32.

    What only moves or casts elements takes them in the type that they have.
    """
    as_they_are = all(_moves(node.op) or node.op == "Cast" for node in body.nodes)
    dtype = type.dtype if as_they_are else summing_dtype(type.dtype)
    return replace(type, dtype=dtype, layout=ROW_MAJOR)


def _moves(op: str) -> bool:
    """Whether each element that an op gives is one that it was given."""
    return OPS[op].work is movement


def calling(body: Body, rates: Rates) -> tuple[Phase, ...]:
    """Dispatch, then the larger of operations and bytes at the host's rates."""
    facts = rates.sheet.host
    moved = _moved_bytes(body)
    operations = Term("host", rates.simple(whole_work(body)), exact(facts.gflops) / 1000)
    memory = Term("host", exact(moved), rates.host_memory)
    dispatch = fixed_ps("host", facts.dispatch_us)
    return (Phase(((dispatch, operations), (dispatch, memory))),)


def _moved_bytes(body: Body) -> int:
    """What the host reads and writes.

    What only views its input moves no bytes. What only moves elements reads no more of an input
    than it writes: a slice does not read the rest.
    """
    if all(node.op in VIEWS for node in body.nodes):
        return 0
    read = [at_host(type, body).bytes for type in body.types[: body.inputs]]
    written = sum(at_host(body.types[v], body).bytes for v in body.outputs)
    if all(_moves(node.op) for node in body.nodes):
        read = [min(size, written) for size in read]
    return sum(read) + written


def call_ps(body: Body, rates: Rates) -> int:
    """Picoseconds of a call that computes a body."""
    return settle(calling(body, rates), frozenset()).ps


def crossing(copy: Copy, rates: Rates) -> tuple[Phase, ...]:
    """Latency of the link, and the bytes at its rate."""
    moved = Term("link", exact(copy.size), rates.link[copy.to])
    return one(fixed_ps("link", rates.sheet.link.latency_us), moved)


def passing(copy: Copy, owner: Step | None, rates: Rates) -> tuple[Phase, ...]:
    """What a copy that belongs to ``owner`` costs on the host, where bytes are read and written.

    The driver copies between its pinned buffer and the pageable tensor (M. Harris, How to Optimize
    Data Transfers in CUDA C/C++, 2012). Then one more call of the framework converts a tensor whose
    element type or layout is not what the call takes.
    """
    staged = Term("host", exact(2 * copy.size), rates.host_memory)
    held = None if owner is None else _held_bytes(copy.value, owner)
    if held is None:
        return one(staged)
    converted = Term("host", exact(copy.size + held), rates.host_memory)
    return one(staged, fixed_ps("host", rates.sheet.host.dispatch_us), converted)


def _held_bytes(value: str, step: Step) -> int | None:
    """The size of a value of a step as the host holds it, None if it lies there as it is copied."""
    body = step.body
    inputs = dict(zip(step.ins, range(body.inputs), strict=True))
    places = inputs | dict(zip(step.outs, body.outputs, strict=True))
    if value not in places:
        return None
    type = body.types[places[value]]
    held = at_host(type, body)
    return None if held == type else held.bytes
