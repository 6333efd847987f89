"""The tile level: the loops, loads, computes and stores of a kernel, in the dialect ``tile``.

A slice is written as one string per dimension: ``":"`` is all of it, ``"l1"`` the interval of loop
1, ``"l1*2-1 wide 3"`` its image under stride 2, offset -1 and window 3, ``"(l1)/2"`` that divided.
What a compute reads is written in the same way over the dimensions ``d0``, ``d1``, ... of its
output. Operands are buffers: those that a statement reads come first, the one it fills last.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from emu.ir.regions import largest
from emu.ir.schedule import Schedule
from emu.ir.text.syntax import (
    Function,
    Values,
    array,
    attributes,
    booleans,
    dictionary,
    integer,
    module,
    operation,
    quoted,
    real,
    region,
    strings,
)
from emu.ir.tile import (
    Axes,
    Axis,
    Compute,
    Fill,
    Gather,
    Load,
    Loop,
    Nest,
    Operand,
    Statement,
    Step,
    Store,
    TileProgram,
    View,
)


def print_tile(program: TileProgram, name: str) -> str:
    """Return a tile program as a module with one function, called ``name``."""
    return module(name, [_function(program, name, {})])


def print_schedule_tiles(schedule: Schedule) -> str:
    """Return every distinct tile program of a schedule once, with the groups that it serves."""
    served: dict[tuple[str, TileProgram], list[str]] = {}
    for binding in schedule.bindings:
        if binding.program is not None:
            key = binding.program.name, binding.program
            served.setdefault(key, []).append(binding.group.name)
    functions = [_function(p, g[0], {"tile.groups": strings(g)}) for (_, p), g in served.items()]
    return module(schedule.graph.name, functions)


def _function(program: TileProgram, name: str, extra: Mapping[str, str]) -> Function:
    facts = {
        "tile.kernel": quoted(program.name),
        "tile.threads": integer(program.threads),
        "tile.load_width_bytes": integer(program.load_width_bytes),
        **({"tile.split": quoted(program.split)} if program.split else {}),
    }
    body = (*_views(program), *_buffers(program), *_steps(program, program.steps))
    return Function(name, Values(), Values(), body, attrs={**facts, **extra})


def _views(program: TileProgram) -> Iterable[str]:
    for i, view in enumerate(program.views):
        value = {} if view.value is None else {"value": integer(view.value)}
        attrs = {"role": quoted(view.role), **value, **_kept(view)}
        yield operation("tile.view", results=_view(program, i), attrs=attrs)


def _kept(view: View) -> dict[str, str]:
    """On how many cores a view is kept on chip, and in which of them a core finds its part."""
    if not view.kept:
        return {}
    where = "own" if view.own else "any"
    return {"kept": quoted(where), "kept_cores": integer(view.kept_cores)}


def _view(program: TileProgram, i: int) -> Values:
    return Values([f"%v{i}"], [str(program.views[i].type)])


def _buffers(program: TileProgram) -> Iterable[str]:
    for i, buffer in enumerate(program.buffers):
        attrs = {"axes": _axes(buffer.axes, "l"), "depth": integer(buffer.depth)}
        yield operation(
            "tile.buffer", _view(program, buffer.value), _room(program, [i]), attrs=attrs
        )


def _room(program: TileProgram, buffers: Iterable[int]) -> Values:
    buffers = tuple(buffers)
    return Values([f"%b{i}" for i in buffers], [_memref(program, i) for i in buffers])


def _memref(program: TileProgram, i: int) -> str:
    buffer = program.buffers[i]
    shape = "".join(f"{extent}x" for extent in largest(program, buffer))
    return f"memref<{shape}{program.views[buffer.value].type.dtype}>"


def _axes(axes: Axes, letter: str) -> str:
    return strings(axis_text(axis, letter) for axis in axes)


def axis_text(axis: Axis, letter: str) -> str:
    """Return one dimension of a slice, where ``letter`` stands for what the axis follows."""
    if axis.of is None:
        return ":"
    stride = f"*{axis.stride}" if axis.stride != 1 else ""
    offset = f"{axis.offset:+d}" if axis.offset else ""
    window = f" wide {axis.window}" if axis.window != 1 else ""
    image = f"{letter}{axis.of}{stride}{offset}{window}"
    return image if axis.divide == 1 else f"({image})/{axis.divide}"


def _steps(program: TileProgram, steps: Iterable[Step]) -> list[str]:
    return list(chain.from_iterable(_step(program, step) for step in steps))


def _step(program: TileProgram, step: Step) -> list[str]:
    if isinstance(step, Nest):
        body = _steps(program, step.body)
        return region("tile.loop", _loop(step.loop, program.loops[step.loop]), body)
    return [_statement(program, step)]


def _statement(program: TileProgram, step: Statement) -> str:
    match step:
        case Compute():
            return _compute(program, step)
        case Gather():
            return _gather(program, step)
        case Fill():
            attrs = {"number": real(step.number)}
            return operation("tile.fill", _room(program, [step.buffer]), attrs=attrs)
        case Load():
            return operation("tile.load", _room(program, [step.buffer]), attrs=_charged(step.node))
        case Store():
            operands = _joined(_room(program, [step.buffer]), _view(program, step.view))
            return operation("tile.store", operands, attrs=_charged(step.node))


def _charged(node: int) -> dict[str, str]:
    return {"node": integer(node)}


def _gather(program: TileProgram, step: Gather) -> str:
    rooms = _room(program, [step.index, step.buffer])
    operands = _joined(_view(program, step.table), rooms)
    return operation("tile.gather", operands, attrs=_charged(step.node))


def _joined(first: Values, second: Values) -> Values:
    return Values([*first.names, *second.names], [*first.types, *second.types])


def _loop(number: int, loop: Loop) -> dict[str, str]:
    facts = {
        "loop": integer(number),
        "extent": integer(loop.extent),
        "step": integer(loop.step),
        "parallel": "true" if loop.parallel else "false",
    }
    return facts if loop.parent is None else facts | {"parent": integer(loop.parent)}


def _compute(program: TileProgram, step: Compute) -> str:
    present = [operand for operand in step.ins if operand is not None]
    buffers = [*(operand.buffer for operand in present), step.out]
    return operation(
        "tile.compute",
        _room(program, buffers),
        attrs=_meaning(step) | _reads(present) | _absent(step),
    )


def _meaning(step: Compute) -> dict[str, str]:
    attrs = attributes(dict(step.attrs))
    return {
        "op": quoted(step.op),
        "kind": quoted(step.kind),
        **_charged(step.node),
        "accumulate": "true" if step.accumulate else "false",
        **({"attrs": dictionary(attrs)} if attrs else {}),
    }


def _reads(present: Sequence[Operand]) -> dict[str, str]:
    axes = {"axes": array(_axes(operand.axes, "d") for operand in present)}
    if not any(operand.fill for operand in present):
        return axes
    return axes | {"fill": array(real(operand.fill) for operand in present)}


def _absent(step: Compute) -> dict[str, str]:
    if None not in step.ins:
        return {}
    return {"operand_present": booleans(operand is not None for operand in step.ins)}
