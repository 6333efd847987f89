"""Kernels of ops that only move elements: concat, split, gather, resize, reshapes and relayouts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from math import prod
from types import MappingProxyType
from typing import TypeAlias

from emu.ir.body import Body, BodyNode
from emu.ir.tile import (
    Axes,
    Axis,
    Buffer,
    Compute,
    Gather,
    Load,
    Loop,
    Nest,
    Operand,
    Step,
    Store,
    TileProgram,
    View,
)
from emu.ir.types import TensorType
from emu.kernels.build import build
from emu.kernels.builder import Builder, views_of
from emu.kernels.cutting import Cut, cut
from emu.kernels.slicing import Slices, Untileable
from emu.kernels.tiling import Tiling

Template: TypeAlias = Callable[[Body, Tiling, str], TileProgram]


@lru_cache(maxsize=4096)
def build_movement(body: Body, tiling: Tiling, name: str) -> TileProgram:
    """Return the program of one node of ``MOVEMENTS``; ``tiling.tile`` cuts its output.

    Each tile of Concat and Split moves a slice of every part. Raises Untileable for any other body.
    """
    if len(body.nodes) != 1 or body.nodes[0].op not in MOVEMENTS:
        ops = ", ".join(node.op for node in body.nodes)
        raise Untileable(f"{ops} is not one of {', '.join(MOVEMENTS)}")
    return MOVEMENTS[body.nodes[0].op](body, tiling, name)


@dataclass(frozen=True)
class _Part:
    """A block of ``dims`` that moves from a place in one value to a place in another.

    The places differ along dimension ``axis``.
    """

    dims: tuple[int, ...]
    axis: int
    source: int
    source_at: int
    target: int
    target_at: int


def _concat(body: Body, tiling: Tiling, name: str) -> TileProgram:
    node = body.nodes[0]
    axis = _axis(body, node, node.out)
    sizes = [body.types[v].dims[axis] for v in node.ins]
    starts = accumulate(sizes, initial=0)
    parts = [
        _Part(body.types[v].dims, axis, v, 0, node.out, start)
        for v, start in zip(node.ins, starts, strict=False)
    ]
    return _copies(body, tiling, name, parts)


def _split(body: Body, tiling: Tiling, name: str) -> TileProgram:
    node = body.nodes[0]
    axis = _axis(body, node, node.ins[0])
    sizes = [body.types[v].dims[axis] for v in node.outs]
    starts = accumulate(sizes, initial=0)
    parts = [
        _Part(body.types[v].dims, axis, node.ins[0], start, v, 0)
        for v, start in zip(node.outs, starts, strict=False)
        if v in body.outputs
    ]
    return _copies(body, tiling, name, parts)


def _copies(body: Body, tiling: Tiling, name: str, parts: list[_Part]) -> TileProgram:
    """One nest over what the parts have in common; each of its tiles moves a slice of every part.

    Parts of one size are cut along the axis too, others are whole there.
    """
    shared = _shared(tiling, parts)
    loops = list(shared.loops)
    buffers: list[Buffer] = []
    steps: list[Step] = []
    for part in parts:
        axes, inner = shared.axes, tuple[int, ...]()
        if axes[part.axis].of is None:  # the place of a part along the axis follows a loop
            inner = (len(loops),)
            axes = tuple(Axis(inner[0]) if d == part.axis else a for d, a in enumerate(axes))
            loops.append(Loop(part.dims[part.axis], part.dims[part.axis]))
        first = len(buffers)
        buffers.append(Buffer(part.source, _at(axes, part.axis, part.source_at), tiling.depth))
        buffers.append(Buffer(part.target, _at(axes, part.axis, part.target_at), tiling.depth))
        steps += _nested(inner, _copy(part, first))
    nested = _nested(shared.nest, tuple(steps))
    return _program(name, views_of(body), loops, buffers, list(nested), tiling)


def _shared(tiling: Tiling, parts: list[_Part]) -> Cut:
    """The loops that all parts have."""
    first = parts[0]
    if len({part.dims for part in parts}) == 1:
        return cut(first.dims, tiling)
    whole = (first.dims[d] if d == first.axis else t for d, t in enumerate(tiling.tile))
    return cut(first.dims, replace(tiling, tile=tuple(whole)))


def _at(axes: Axes, axis: int, start: int) -> Axes:
    return tuple(replace(a, offset=start) if d == axis else a for d, a in enumerate(axes))


def _copy(part: _Part, first: int) -> tuple[Step, ...]:
    """Load into buffer ``first``, move to the next one, store that."""
    axes = tuple(Axis(d) for d in range(len(part.dims)))
    operand = Operand(first, _at(axes, part.axis, part.source_at - part.target_at))
    move = Compute("Identity", (), (operand,), first + 1, "vector", 0)
    return Load(first, 0), move, Store(first + 1, part.target, 0)


def _nested(nest: tuple[int, ...], body: tuple[Step, ...]) -> tuple[Step, ...]:
    for loop in reversed(nest):
        body = (Nest(loop, body),)
    return body


def _flat(body: Body, tiling: Tiling, name: str) -> TileProgram:
    """Both sides are one row of elements, so a tile goes back to memory as it came."""
    node = body.nodes[0]
    source, target = node.ins[0], node.out
    dims = body.types[target].dims
    flat = replace(tiling, tile=(_tile(tiling.tile, dims),), order=())
    made = cut((prod(dims),), flat)
    views = list(views_of(body))
    for value in (source, target):
        views[value] = _viewed(views[value], (prod(dims),))
    buffers = [Buffer(source, made.axes, tiling.depth)]
    steps = _nested(made.nest, (Load(0, 0), Store(0, target, 0)))
    return _program(name, tuple(views), list(made.loops), buffers, list(steps), tiling)


def _gather(body: Body, tiling: Tiling, name: str) -> TileProgram:
    """Rows of [P, V, S] go to [P, I, S]; what stands before and after the axis is one each."""
    node = body.nodes[0]
    table, index = node.ins
    axis = _axis(body, node, table)
    dims, out = body.types[table].dims, body.types[node.out].dims
    behind = axis + len(body.types[index].shape)
    groups = (slice(0, axis), slice(axis, behind), slice(behind, None))
    tile = tuple(_tile(tiling.tile[g], out[g]) for g in groups)
    shape = tuple(prod(out[g]) for g in groups)
    made = cut(shape, replace(tiling, tile=tile, order=()))
    axes = {index: (made.axes[1],), node.out: made.axes}
    builder = Builder(body, tiling, made, Slices(axes, ()))
    builder.views[table] = _viewed(builder.views[table], (shape[0], dims[axis], shape[2]))
    builder.views[index] = _viewed(builder.views[index], (shape[1],))
    builder.views[node.out] = _viewed(builder.views[node.out], shape)
    builder.load(0, index)
    rows = builder.add_buffer(node.out, made.axes, tiling.depth)
    builder.emit(Gather(table, builder.buffer_of[index], rows, 0))
    builder.store(0, node.out)
    return builder.program(name)


def _tile(tile: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """Elements of a tile of some dimensions."""
    return prod(min(t, d) for t, d in zip(tile, dims, strict=True))


def _viewed(view: View, dims: tuple[int, ...]) -> View:
    return replace(view, type=TensorType(view.type.dtype, dims))


def _axis(body: Body, node: BodyNode, value: int) -> int:
    axis = dict(node.attrs).get("axis", 0)
    assert isinstance(axis, int)
    return axis % len(body.types[value].shape)


def _program(
    name: str,
    views: tuple[View, ...],
    loops: list[Loop],
    buffers: list[Buffer],
    steps: list[Step],
    tiling: Tiling,
) -> TileProgram:
    return TileProgram(
        name=name,
        views=views,
        loops=tuple(loops),
        buffers=tuple(buffers),
        steps=tuple(steps),
        threads=tiling.threads,
        load_width_bytes=tiling.load_width_bytes,
    )


MOVEMENTS: Mapping[str, Template] = MappingProxyType(
    {
        "Concat": _concat,
        "Split": _split,
        "Gather": _gather,
        **dict.fromkeys(("Resize", "Relayout"), build),
        **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _flat),
    }
)
