"""Copies: by numpy where both sides are dense along one dimension, else turned in registers.

Small ones are machine code in any case, so that they are one call with their neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib import import_module
from math import prod
from typing import Any

import numpy as np

from emu.ir.types import Array
from emu.kernels.fast.writer import Call, Held, shares

Ints = tuple[int, ...]
F32_BYTES = 4
OUTER_DIMS = 3  # that a copy can count over, beside the two that are turned
SMALL = 2**10  # elements of a copy that takes less than a call of numpy does


@dataclass(frozen=True, slots=True)
class _Dim:
    """Neighbouring dimensions that both sides step through evenly, in bytes."""

    size: int
    out: int
    x: int


@cache
def native() -> Any:
    """The module of compiled copies; numba is imported for those who turn only."""
    return import_module("emu.kernels.native.turn")


def copy_step(out: Array, x: Array) -> Call:
    """The step that copies ``x`` to ``out``; by numpy, which looks first, if they share memory."""
    words = _words(out, x)
    if words is None or not (_turns(words) or x.size <= SMALL):
        return partial(np.copyto, out, x)
    places, held = (out.ctypes.data, x.ctypes.data), (out, x)

    def split(parts: int) -> list[Call]:
        ranges = shares(int(words[1]), parts)
        return [Held(native().run_turn, _within(words, *r), *places, held=held) for r in ranges]

    return Held(native().run_turn, words, *places, held=held, work=x.size, split=split)


def _within(words: Array, first: int, end: int) -> Array:
    """The words of a copy of some of its lines."""
    return np.array((first, end, *words[2:]), np.int64)


def copy(out: Array, x: Array) -> None:
    """Copy ``x`` to ``out``, now; to plan a copy that is small, or of equal strides, is dearer."""
    words = None if x.size <= SMALL or out.strides == x.strides else _words(out, x)
    if words is None or not _turns(words):
        np.copyto(out, x)
    else:
        native().run_turn(words, out.ctypes.data, x.ctypes.data)


def _words(out: Array, x: Array) -> Array | None:
    if (
        np.may_share_memory(out, x)
        or out.dtype != x.dtype
        or out.itemsize != F32_BYTES
        or out.shape != x.shape
    ):
        return None
    return None if out.dtype.hasobject else plan(out.shape, out.strides, x.strides)


def _turns(words: Array) -> bool:
    """Whether the two sides are dense along different dimensions."""
    return bool(words[native().WORDS.index("across")] > 1)


@lru_cache(maxsize=1024)
def plan(shape: Ints, out: Ints, x: Ints) -> Array | None:
    """The words of a copy of 4-byte elements by strides; None if it is not even enough.

    Each side must be dense along a dimension; if that is the same one, ``across`` is nothing.
    """
    dims = _joined([_Dim(*d) for d in zip(shape, out, x, strict=True)])
    across = [d for d in dims if d.x == F32_BYTES]
    along = [d for d in dims if d.out == F32_BYTES]
    if len(across) != 1 or len(along) != 1:
        return None
    outer = [d for d in dims if d not in (*across, *along)]
    if across == along:
        across = [_Dim(1, 0, F32_BYTES)]
    if len(outer) > OUTER_DIMS or prod(shape) == 0:
        return None
    outer = [_Dim(1, 0, 0)] * (OUTER_DIMS - len(outer)) + outer
    lines = prod(d.size for d in outer) * -(-across[0].size // native().SIDE)
    steps = (*(d.out for d in outer), *(d.x for d in outer))
    sizes = (across[0].size, along[0].size, across[0].out, along[0].x)
    return np.array((0, lines, *sizes, outer[1].size, outer[2].size, *steps), np.int64)


def _joined(dims: Sequence[_Dim]) -> list[_Dim]:
    found: list[_Dim] = []
    for dim in (d for d in dims if d.size != 1):
        if found and (found[-1].out, found[-1].x) == (dim.out * dim.size, dim.x * dim.size):
            found[-1] = _Dim(found[-1].size * dim.size, dim.out, dim.x)
        else:
            found.append(dim)
    return found
