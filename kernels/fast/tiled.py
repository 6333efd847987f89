"""Steps made of register tiles: convolutions, products by fixed weights, largest of windows.

Images lie with channels innermost, weights in the order that tiles read them (``packed``).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from emu.ir.ops.window import Window
from emu.ir.types import Array
from emu.kernels.fast.lying import last
from emu.kernels.fast.memory import aligned
from emu.kernels.fast.writer import Call, Held, Split, shares

PRODUCT, DEPTHWISE, LARGEST = range(3)
Ints = tuple[int, ...]
Words = dict[str, int]
SUMS_AT_ONCE = 32  # that a tile does in the time that an elementwise step takes for an element


@dataclass(frozen=True)
class Ending:
    """What follows a product before it is stored: ``max(low, min(high, product + bias + more))``.

    ``bias[M]`` is added for each channel, ``more`` is of the result's shape and lies as it does.
    """

    bias: Array | None = None
    more: Array | None = None
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class Tiles:
    """Where tiles read: ``table`` is i32[taps,rows] of each, those of ROWS rows first."""

    table: Array
    taps: int
    high: int
    low: int
    height: int  # of the low ones

    @property
    def count(self) -> int:
        """All of them."""
        return self.high + self.low


def machine() -> Any:
    """The module of compiled tiles; numba is imported for those who compute with it only."""
    return import_module("emu.kernels.native.product")


def zeros(size: int, value: float = 0.0) -> Array:
    """``size`` numbers in f32, aligned, all of one value."""
    made = aligned(4 * size).view(np.float32)
    made.fill(value)
    return made


def blocks(width: int, mode: int) -> list[tuple[int, int]]:
    """First channel and width of each block of channels that one tile computes."""
    native = machine()
    lanes, most = native.LANES, native.LANES * native.VECTORS
    found: list[tuple[int, int]] = []
    column = 0
    while column < width:
        rest = width - column
        size = most if rest > most - lanes else lanes
        if mode == PRODUCT and rest <= native.NARROW:
            size = native.NARROW
        found.append((column, size))
        column += size
    return found


def padded(width: int, mode: int) -> int:
    """The channels of all blocks together: ``width`` rounded up to whole vectors."""
    return sum(size for _, size in blocks(width, mode))


def packed(w: Array, groups: int, mode: int) -> Array:
    """Weights ``w[M,C,taps]`` as tiles read them: by group, block of channels, tap, input channel.

    For depthwise convolutions C is 1, and all channels are one group of that many blocks.
    """
    m, c, taps = w.shape
    width = m // groups
    made = zeros(groups * padded(width, mode) * c * taps)
    start = 0
    for group in range(groups):
        of_group = w[group * width : (group + 1) * width].transpose(2, 1, 0)
        for column, size in blocks(width, mode):
            room = made[start : start + taps * c * size].reshape(taps, c, size)
            part = of_group[:, :, column : column + size]
            room[:, :, : part.shape[2]] = part
            start += room.size
    return made


def spread(values: Array | None, width: int, groups: int, mode: int) -> Array:
    """``values[M]``, or zeros, with the channels of each group padded to whole vectors."""
    made = zeros(groups * padded(width, mode))
    if values is not None:
        made.reshape(groups, -1)[:, :width] = values.reshape(groups, width)
    return made


@lru_cache(maxsize=256)
def places(shape: Ints, strides: Ints, window: Window, mode: int) -> Tiles:
    """Where the channels of each pixel begin that a tile reads.

    ``shape`` and ``strides`` (in elements) are those of images ``[N,H,W]``; -1 is padding.
    """
    (n, *space), (over, *steps) = shape, strides
    where: Array = np.zeros((1, 1), np.int64)
    inside: Array = np.ones((1, 1), np.bool_)
    for i, (size, step, count) in enumerate(
        zip(space, steps, window.out(tuple(space)), strict=True)
    ):
        first = np.arange(count) * window.strides[i] - window.before[i]
        found = first[:, None] + np.arange(window.kernel[i]) * window.dilations[i]
        fits = (found >= 0) & (found < size)
        where = _crossed(where, found * step, np.add)
        inside = _crossed(inside, fits, np.logical_and)
    images: Array = np.arange(n, dtype=np.int64)[:, None, None] * over
    return tiles_of(np.where(inside, images + where, -1).reshape(-1, where.shape[1]), mode)


def _crossed(a: Array, b: Array, both: Callable[..., Array]) -> Array:
    """``[P,T]`` and ``[Q,S]`` as ``[P*Q,T*S]``."""
    found = both(a[:, None, :, None], b[None, :, None, :])
    return found.reshape(a.shape[0] * b.shape[0], -1)


def tiles_of(table: Array, mode: int) -> Tiles:
    """The tiles that cover a table of places by row, ``[rows,taps]``.

    The last of each height begins early enough to be whole. Few rows of a product are left to a
    tile of FEW; those that are fewer still are taken one by one.
    """
    rows, taps = table.shape
    high, low, height = _heights(rows, mode)
    tall = machine().ROWS
    starts = np.minimum(np.arange(high, dtype=np.int64) * tall, rows - tall)
    left = np.minimum(high * tall + np.arange(low, dtype=np.int64) * height, rows - height)
    parts = (_read(table, starts, tall), _read(table, left, height))
    return Tiles(np.concatenate(parts), taps, high, low, height)


def _heights(rows: int, mode: int) -> tuple[int, int, int]:
    """How many tiles of ROWS there are, how many lower ones, and how high those are."""
    tall, few = machine().ROWS, machine().FEW
    rest = rows % tall
    if rows >= tall:
        is_left = mode == PRODUCT and 0 < rest <= few
        return (rows // tall, 1, few) if is_left else (-(-rows // tall), 0, few)
    height = few if mode == PRODUCT and rows >= few else 1
    return 0, -(-rows // height), height


def _read(table: Array, starts: Array, height: int) -> Array:
    """Tiles that begin at rows ``starts``, as i32[tiles * taps * height]."""
    each: Array = starts[:, None] + np.arange(height, dtype=np.int64)
    turned = np.take(table, each, axis=0).transpose(0, 2, 1)
    return np.ascontiguousarray(turned, np.int32).reshape(-1)


@lru_cache(maxsize=64)
def border(value: float, size: int) -> Array:
    """What is read in the padding."""
    return zeros(size, value)


def rows_of(x: Array) -> tuple[int, int] | None:
    """Number and pitch in bytes of the rows ``[K]`` of ``x[...,K]``; None if they lie unevenly."""
    rows, pitch = 1, 0
    if x.shape[-1] > 1 and x.strides[-1] != x.itemsize:
        return None
    for size, stride in zip(reversed(x.shape[:-1]), reversed(x.strides[:-1]), strict=True):
        if size > 1 and (stride <= 0 or (pitch and stride != pitch * rows)):
            return None
        pitch = pitch or (stride if size > 1 else 0)
        rows *= size
    return rows, pitch or x.itemsize * x.shape[-1]


def tiled(
    mode: int,
    x: Array,
    tiles: Tiles,
    weights: Array,
    bias: Array,
    out: Array,
    sizes: dict[str, int],
    ending: Ending,
) -> Call:
    """The step that computes ``out[...,M]``; ``sizes`` are channels, groups and the like."""
    found = rows_of(out)
    assert found is not None
    rows, pitch = found
    more_pitch = 0
    if ending.more is not None:
        _, more_pitch = rows_of(ending.more) or (0, 0)
    edge = border(-np.inf if mode == LARGEST else 0.0, max(1024, sizes["channels"]))
    bounds = np.array([ending.low, ending.high], np.float32)
    held = (x, tiles.table, weights, bias, out, ending.more, edge, bounds)
    words: Words = {
        "rows": rows,
        "first": 0,
        "end": tiles.count,
        "high": tiles.high,
        "height": tiles.height,
        "x": x.ctypes.data,
        "places": tiles.table.ctypes.data,
        "taps": tiles.taps,
        "weights": weights.ctypes.data,
        "start": bias.ctypes.data,
        "out": out.ctypes.data,
        "pitch": pitch,
        "border": edge.ctypes.data,
        "bounds": bounds.ctypes.data,
        "padded": padded(sizes["width"], mode),
        "more": 0 if ending.more is None else ending.more.ctypes.data,
        "more_pitch": more_pitch,
        **sizes,
    }
    native = machine()

    def call(words: Words, work: int = 0, split: Split | None = None) -> Call:
        given = np.array([words[name] for name in native.WORDS], np.int64)
        return Held(native.run_tiles, mode, given, held=held, work=work, split=split)

    sums = rows * words["width"] * words["groups"] * words["taps"] * words["channels"]
    return call(
        words, sums // SUMS_AT_ONCE, lambda parts: [call(w) for w in _cut(mode, words, parts)]
    )


def _cut(mode: int, words: Words, parts: int) -> list[Words]:
    """The words of the parts of a result: some of its tiles, or channels if there are few tiles."""
    tiles = words["end"]
    if tiles >= parts or mode != PRODUCT or words["groups"] > 1 or words["taps"] > 1:
        return [words | {"first": a, "end": b} for a, b in shares(tiles, parts)]
    native = machine()
    ranges = shares(words["width"], parts, native.LANES * native.VECTORS)
    return [words | _channels(words, first, end) for first, end in ranges]


def _channels(words: Words, first: int, end: int) -> Words:
    """What changes in the words of a product for its channels from ``first`` to ``end``."""
    steps = {"weights": 4 * words["channels"], "start": 4, "out": 4, "more": 4}
    moved = {name: words[name] + step * first for name, step in steps.items() if words[name]}
    return moved | {"width": end - first}


def convolution(
    x: Array, w: Array, window: Window, groups: int, out: Array, ending: Ending
) -> Call:
    """The step that convolves ``x[N,C,...]`` with ``w[M,C/g,...]`` into ``out[N,M,...]``."""
    image, m = last(x), w.shape[0]
    flat = w.reshape(m, w.shape[1], -1)
    strides = tuple(s // 4 for s in image.strides[:-1])
    alone = groups == x.shape[1] == m and groups > 1
    shared = 1 if alone else groups
    sizes = {
        "channels": flat.shape[1],
        "width": m // shared,
        "groups": shared,
        "group_bytes": 4 * (x.shape[1] // groups),
        "row_bytes": 4 * x.shape[1] * int(np.prod(window.strides)),
    }
    mode = DEPTHWISE if alone else PRODUCT
    tiles = places(image.shape[:-1], strides, window, mode)
    weights, bias = packed(flat, shared, mode), spread(ending.bias, m // shared, shared, mode)
    if ending.more is not None:
        ending = replace(ending, more=last(ending.more))
    return tiled(mode, x, tiles, weights, bias, last(out), sizes, ending)


def largest(x: Array, window: Window, out: Array) -> Call:
    """The step that takes the largest of each window of ``x[N,C,...]``, NaN if there is one."""
    image, c = last(x), x.shape[1]
    strides = tuple(s // 4 for s in image.strides[:-1])
    tiles = places(image.shape[:-1], strides, window, LARGEST)
    sizes = {"channels": 1, "width": c, "groups": 1, "group_bytes": 0}
    sizes["row_bytes"] = 4 * c * int(np.prod(window.strides))
    start = zeros(padded(c, LARGEST), -np.inf)
    return tiled(LARGEST, x, tiles, start, start, last(out), sizes, Ending())


def product(x: Array, w: Array, out: Array, ending: Ending) -> Call:
    """The step that computes ``out[...,N] = x[...,K] @ w[K,N]``; rows of ``x`` lie evenly."""
    found = rows_of(x)
    assert found is not None
    rows, pitch = found
    tiles = tiles_of((np.arange(rows) * (pitch // 4))[:, None], PRODUCT)
    k, n = w.shape
    sizes = {"channels": k, "width": n, "groups": 1, "group_bytes": 0}
    sizes["row_bytes"] = 4 * k
    weights = packed(w.T[:, :, None], 1, PRODUCT)
    return tiled(PRODUCT, x, tiles, weights, spread(ending.bias, n, 1, PRODUCT), out, sizes, ending)
