"""Ops that only move elements, of any type: parts copied to where they go, one after the other."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.ops import find_op
from emu.ir.ops.resize import linear_places
from emu.ir.types import Array, TensorType
from emu.kernels.fast import places
from emu.kernels.fast.inputs import F32, integer, integers, number
from emu.kernels.fast.lying import flat, is_image, laid, last
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call

Arrays: TypeAlias = Sequence[Array]
# The steps that move inputs into results; None where the op table says what happens.
Move: TypeAlias = Callable[[Arrays, Attrs, Arrays], tuple[Call, ...] | None]
MOST_PLACES = 2**18  # elements of a result whose places in the input are held, 8 bytes for each


def _cut(x: Array, sizes: Sequence[int], axis: int) -> list[Array]:
    """Views of the parts of ``x`` along an axis."""
    ends = [*accumulate(sizes)]
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(end - n, end))] for n, end in zip(sizes, ends, strict=True)]


def _concat(ins: Arrays, attrs: Attrs, outs: Arrays) -> tuple[Call, ...]:
    axis = integer(attrs, "axis", 0)
    places = _cut(outs[0], [x.shape[axis] for x in ins], axis)
    return tuple(copy_step(p, x) for p, x in zip(places, ins, strict=True) if x.size)


def _split(ins: Arrays, attrs: Attrs, outs: Arrays) -> tuple[Call, ...]:
    parts = _cut(ins[0], integers(attrs, "sizes"), integer(attrs, "axis", 0))
    return tuple(copy_step(out, part) for out, part in zip(outs, parts, strict=True))


def _pad(ins: Arrays, attrs: Attrs, outs: Arrays) -> tuple[Call, ...] | None:
    (x,), (out,) = ins, outs
    if attrs.get("mode", "constant") != "constant":
        return _by_place("Pad", ins, attrs, outs)
    pads = integers(attrs, "pads")
    gains = [*zip(pads[: x.ndim], pads[x.ndim :], x.shape, out.shape, strict=True)]
    kept = tuple(slice(max(-a, 0), size - max(-b, 0)) for a, b, size, _ in gains)
    place = tuple(slice(max(a, 0), size - max(b, 0)) for a, b, _, size in gains)
    fill = partial(out.fill, out.dtype.type(number(attrs, "value", 0.0)))
    return fill, copy_step(out[place], x[kept])


def _resize(ins: Arrays, attrs: Attrs, outs: Arrays) -> tuple[Call, ...] | None:
    if attrs.get("mode", "nearest") == "nearest":
        return _by_place("Resize", ins, attrs, outs)
    (x,), (out,) = ins, outs
    return _blended(x, attrs, out) if x.dtype == F32 and x.size else None


def _blended(x: Array, attrs: Attrs, out: Array) -> tuple[Call, ...] | None:
    """Between neighbours, one dimension after the other, as far as any is scaled."""
    scaled, turned = linear_places(x.shape, attrs), not out.flags.c_contiguous
    x, out = (last(x), last(out)) if turned else (x, out)
    calls: list[Call] = []
    if not x.flags.c_contiguous:
        room = np.empty(x.shape, x.dtype)
        calls.append(copy_step(room, x))
        x = room
    for axis, (low, share) in scaled.items():
        at = ((axis - 1) or x.ndim - 1) if turned and axis else axis
        shape = (*x.shape[:at], low.size, *x.shape[at + 1 :])
        made = out if axis == max(scaled) else np.empty(shape, x.dtype)
        calls += places.blended(made, x, at, low, share)
        x = made
    return tuple(calls) if scaled else None


def _by_place(op: str, ins: Arrays, attrs: Attrs, outs: Arrays) -> tuple[Call, ...] | None:
    """Run the op once on the places of its input: they say what goes where in every run."""
    (x,), (out,) = ins, outs
    if out.size > MOST_PLACES or not x.size or not (is_image(x) or x.flags.c_contiguous):
        return None
    places = np.arange(x.size)
    places = laid(places.view(np.uint8), TensorType("i64", x.shape), is_image(x))
    found = find_op(op, "fast executor").run(places, **attrs)
    index = (last(found) if is_image(out) else found).reshape(-1)
    return (partial(np.take, flat(x), index, 0, flat(out), "wrap"),)


MOVES: dict[str, Move] = {
    "Concat": _concat,
    "Split": _split,
    "Gather": places.gather,
    "GatherElements": places.gather_elements,
    "GatherND": places.gather_nd,
    "ScatterElements": places.scatter_elements,
    "ScatterND": places.scatter_nd,
    "TopPlaces": places.top_places,
    "ArgMax": places.arg_max,
    "ArgMin": places.arg_min,
    "Pad": _pad,
    "Resize": _resize,
}
