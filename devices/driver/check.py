"""References of a decoded program: well-formed bytes may still name things that do not exist."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import takewhile

from emu.devices.driver.stream import shown
from emu.ir.body import ABSENT, Body
from emu.ir.errors import ContainerError
from emu.ir.program import (
    Alloc,
    Command,
    Copy,
    Drop,
    Free,
    HostCall,
    Keep,
    Launch,
    Program,
    Replay,
)
from emu.ir.tile import Axis, Compute, Fill, Gather, Load, Nest, Step, Store, TileProgram
from emu.ir.types import HELD, NUMPY, TensorType

IN_GRAPH = (Alloc, Free, Keep, Drop, Launch)  # what may stand between the launches of a graph


def check(program: Program) -> Program:
    """Return the program; raise ContainerError at the first command that cannot be carried out.

    Checked are numbers of values, nodes, loops, views and buffers, dtypes, that memory is
    allocated and freed in turn with the stated peak, that what is kept on chip is used there, and
    that nothing but memory stands between the launches of a graph.
    """
    live: dict[str, int] = {}
    kept: set[str] = set()
    used = peak = 0
    for number, command in enumerate(program.commands):
        problem = _problem(command, live) or _problem_on_chip(command, kept)
        if not problem and isinstance(command, Replay):
            problem = _problem_of_graph(command, program.commands[number + 1 :])
        if problem:
            raise ContainerError(f"container: command {number}: {shown(problem)}")
        if isinstance(command, Alloc):
            live[command.value] = command.size
            used += command.size
            peak = max(peak, used)
        elif isinstance(command, Free):
            used -= live.pop(command.value)
    if peak != program.peak_bytes:
        raise ContainerError(f"container: peak is {peak:,} bytes, not {program.peak_bytes:,}")
    return program


def _problem(command: object, live: dict[str, int]) -> str | None:
    match command:
        case Alloc():
            bad = command.value in live or command.offset < 0 or command.size <= 0
            return f"%{command.value!r} cannot be allocated" if bad else None
        case Free():
            return None if command.value in live else f"%{command.value!r} is not allocated"
        case Copy():
            bad = command.to not in ("host", "device") or command.size < 0
            return f"{command} is no copy" if bad else None
        case Launch() | HostCall():
            return _problem_of_call(command)
        case _:
            return None


def _problem_on_chip(command: object, kept: set[str]) -> str | None:
    """What is wrong with on-chip lifetimes at a command, which changes those in ``kept``."""
    match command:
        case Keep(value, cores, size):
            if value in kept or cores < 1 or size < 1:
                return f"%{value!r} cannot be kept"
            kept.add(value)
        case Drop(value):
            if value not in kept:
                return f"%{value!r} is not kept"
            kept.remove(value)
        case Launch():
            names = dict(enumerate(command.ins))
            names |= dict(zip(command.body.outputs, command.outs, strict=True))
            for view in command.program.views:
                name = None if view.value is None else names.get(view.value)
                if view.kept != (name in kept):
                    return f"%{name!r} is kept on chip by one of launch and commands only"
        case _:
            pass
    return None


def _problem_of_graph(replay: Replay, after: Sequence[Command]) -> str | None:
    """What is wrong with a graph, of the commands ``after`` it."""
    found = takewhile(lambda c: isinstance(c, IN_GRAPH), after)
    launches = [command for command in found if isinstance(command, Launch)]
    if not 1 <= replay.launches <= len(launches):
        return f"a graph of {replay.launches} launches, of which {len(launches)} follow"
    first = launches[0].index
    return None if replay.index == first else f"graph {replay.index} begins with launch {first}"


def _problem_of_call(call: Launch | HostCall) -> str | None:
    body = call.body
    if call.index < 0 or len(call.ins) != body.inputs or len(call.outs) != len(body.outputs):
        return f"binding {call.index} is called with values that its body does not have"
    problem = _problem_of_body(body)
    if problem or isinstance(call, HostCall):
        return problem
    problem = _problem_of_program(call.program, len(body.types), len(body.nodes))
    return problem and f"tile program {call.program.name!r}: {problem}"


@lru_cache(maxsize=4096)
def _problem_of_body(body: Body) -> str | None:
    values = len(body.types)
    named = (v for node in body.nodes for v in (*node.ins, *node.outs) if v != ABSENT)
    if not _within(values, (*named, *body.weights, *body.outputs)) or body.inputs > values:
        return "the body refers to a value that it does not have"
    return next((f"the body has a value of type {t}" for t in body.types if not _sound(t)), None)


def _sound(kind: TensorType) -> bool:
    known = kind.dtype in NUMPY or kind.dtype in HELD
    sizes = (kind.payload_bytes, *kind.shape)
    return known and all(isinstance(size, int) and size >= 0 for size in sizes)


@lru_cache(maxsize=4096)
def _problem_of_program(program: TileProgram, values: int, nodes: int) -> str | None:
    loops, views, buffers = len(program.loops), len(program.views), len(program.buffers)
    if not all(_sound(view.type) for view in program.views):
        return "a view has an impossible type"
    if not _within(values, (v.value for v in program.views if v.value is not None)):
        return "a view is of a value that the body does not have"
    if not _within(loops, (p.parent for p in program.loops if p.parent is not None)):
        return "a loop follows a loop that does not exist"
    if any(loop.step < 1 or loop.extent < 0 for loop in program.loops):
        return "a loop never ends"
    if not _within(views, (buffer.value for buffer in program.buffers)):
        return "a buffer is of a view that does not exist"
    axes = [axis for buffer in program.buffers for axis in buffer.axes]
    if not _within(loops, (a.of for a in axes if a.of is not None)) or not all(map(_divides, axes)):
        return "an axis of a buffer follows no loop"
    problems = (_problem_of_step(s, (loops, views, buffers), nodes) for s in _all(program.steps))
    return next((problem for problem in problems if problem), None)


def _problem_of_step(step: Step, counts: tuple[int, int, int], nodes: int) -> str | None:
    loops, views, buffers = counts
    match step:
        case Nest(loop):
            return None if _within(loops, (loop,)) else f"loop {loop} does not exist"
        case Compute():
            named = (step.out, *(operand.buffer for operand in step.ins if operand))
            sound = all(_divides(axis) for o in step.ins if o for axis in o.axes)
            sound = sound and _within(nodes, (step.node,))
        case Gather():
            named = (step.buffer, step.index)
            sound = _within(views, (step.table,)) and _within(nodes, (step.node,))
        case Store():
            named = (step.buffer,)
            sound = _within(views, (step.view,)) and _within(nodes, (step.node,))
        case Load():
            named, sound = (step.buffer,), _within(nodes, (step.node,))
        case Fill():
            named, sound = (step.buffer,), True
    fits = sound and _within(buffers, named)
    return None if fits else f"{step} names what does not exist"


def _all(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, Nest):
            yield from _all(step.body)


def _divides(axis: Axis) -> bool:
    return axis.divide >= 1


def _within(count: int, numbers: Iterable[int]) -> bool:
    return all(0 <= number < count for number in numbers)
