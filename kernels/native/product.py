"""All tiles of a convolution, a product of matrices or a pool: one call for each.

``words`` (int64, ``WORDS``) say where everything lies; addresses and pitches are in bytes. Rows
are taken some at a time, so that what they read stays in a core's own cache while the weights of
one block of channels after the other pass by; within a row the order of sums never changes.
"""

from typing import Any

import numba

from emu.ir.types import Array
from emu.kernels.native.stamp import STAMP
from emu.kernels.native.tiles import (
    FEW,
    LANES,
    NARROW,
    ROWS,
    VECTORS,
    depthwise,
    largest,
    product,
    tile,
)

njit: Any = numba.njit
BLOCK_BYTES = 2**19  # of rows; half of a core's own cache
WORDS = (
    "rows",
    "first",  # row that this call begins with
    "end",
    "high",  # of the tiles from the first that have ROWS; the others have ``height``
    "height",
    "width",  # channels of a result, in a group
    "padded",  # to whole vectors, as weights and starts are
    "groups",
    "x",
    "group_bytes",  # from a group's channels in ``x`` to those of the next
    "row_bytes",  # that one row reads, more or less
    "places",
    "taps",
    "channels",
    "weights",
    "start",
    "out",
    "pitch",
    "more",
    "more_pitch",
    "border",
    "bounds",
)
Tiles = tuple[Any, ...]
Words = tuple[int, ...]


def _tiles(tap: Any, rows: int) -> Tiles:
    """Tiles of some rows, by the number of vectors."""
    return tuple(tile(tap, rows, vectors) for vectors in (1, VECTORS))


PRODUCT, DEPTHWISE, LARGEST = range(3)
# A kind of a tile is its width, and WIDTHS more for fewer rows.
SMALL, LARGE, NARROW_KIND, WIDTHS = range(4)
P_SMALL, P_LARGE = _tiles(product, ROWS)
P_SMALL_FEW, P_LARGE_FEW = _tiles(product, FEW)
P_SMALL_ROW, P_LARGE_ROW = _tiles(product, 1)
P_NARROW, P_NARROW_FEW, P_NARROW_ROW = (tile(product, n, 1, NARROW) for n in (ROWS, FEW, 1))
D_SMALL, D_LARGE = _tiles(depthwise, ROWS)
D_SMALL_ROW, D_LARGE_ROW = _tiles(depthwise, 1)
L_SMALL, L_LARGE = _tiles(largest, ROWS)
L_SMALL_ROW, L_LARGE_ROW = _tiles(largest, 1)


@njit
def product_tile(kind: int, words: Words) -> None:
    """Compute a tile of one kind; numba has no tables of functions."""
    if kind == SMALL:
        P_SMALL(words)
    elif kind == LARGE:
        P_LARGE(words)
    elif kind == NARROW_KIND:
        P_NARROW(words)
    elif kind == WIDTHS + SMALL:
        P_SMALL_FEW(words)
    elif kind == WIDTHS + LARGE:
        P_LARGE_FEW(words)
    elif kind == WIDTHS + NARROW_KIND:
        P_NARROW_FEW(words)
    elif kind == 2 * WIDTHS + SMALL:
        P_SMALL_ROW(words)
    elif kind == 2 * WIDTHS + LARGE:
        P_LARGE_ROW(words)
    else:
        P_NARROW_ROW(words)


@njit
def depthwise_tile(kind: int, words: Words) -> None:
    """As ``product_tile``, each channel alone."""
    if kind == SMALL:
        D_SMALL(words)
    elif kind == LARGE:
        D_LARGE(words)
    elif kind == 2 * WIDTHS + SMALL:
        D_SMALL_ROW(words)
    else:
        D_LARGE_ROW(words)


@njit
def largest_tile(kind: int, words: Words) -> None:
    """As ``product_tile``, the largest of each window."""
    if kind == SMALL:
        L_SMALL(words)
    elif kind == LARGE:
        L_LARGE(words)
    elif kind == 2 * WIDTHS + SMALL:
        L_SMALL_ROW(words)
    else:
        L_LARGE_ROW(words)


@njit
def one_tile(mode: int, kind: int, words: Words) -> None:
    """Compute a tile of a mode and kind."""
    if mode == PRODUCT:
        product_tile(kind, words)
    elif mode == DEPTHWISE:
        depthwise_tile(kind, words)
    else:
        largest_tile(kind, words)


@njit
def width_kind(mode: int, channels: int) -> int:
    """How wide the tile is that begins the last so many channels."""
    if mode == PRODUCT and channels <= NARROW:
        return NARROW_KIND
    return LARGE if channels > (VECTORS - 1) * LANES else SMALL


@njit
def tile_at(t: int, rows: int, high: int, height: int) -> tuple[int, int, int]:
    """Of a tile its kind of height, its first row, and how many places a tap has before it."""
    if t < high:
        return 0, min(t * ROWS, rows - ROWS), t * ROWS
    before = high * ROWS + (t - high) * height
    return (1 if height == FEW else 2) * WIDTHS, min(before, rows - height), before


@njit
def column(mode: int, words: Array, group: int, column: int, block: tuple[int, int]) -> int:
    """Compute one block of rows and of channels; return how many channels that is."""
    rows, _, _, high, height, width, padded, _, x, group_bytes, _ = words[:11]
    places, taps, channels, weights, start, out, pitch, more, more_pitch = words[11:20]
    kind = width_kind(mode, width - column)
    vectors = VECTORS if kind == LARGE else 1
    channel = group * padded + column
    behind = 4 * (group * width + column)
    for t in range(block[0], block[1]):
        low, row, before = tile_at(t, rows, high, height)
        one_tile(
            mode,
            low + kind,
            (
                places + 4 * taps * before,
                taps,
                channels,
                weights + 4 * channel * taps * (channels if mode == PRODUCT else 1),
                start + 4 * channel,
                out + row * pitch + behind,
                pitch,
                more + (row * more_pitch + behind if more else 0),
                more_pitch,
                x + (group * group_bytes if mode == PRODUCT else 4 * column),
                words[20],
                words[21],
                min(LANES, width - column - (vectors - 1) * LANES),
            ),
        )
    return vectors * LANES


def _compiled(stamp: str) -> Any:
    """The function that computes a result; what numba keeps on disk is for one ``stamp`` only."""

    @njit(cache=True, nogil=True)
    def run_tiles(mode: int, words: Array) -> None:
        assert len(stamp) > 0  # closed over, which numba looks at; at other files it does not
        _, first, end, _, _, width, _, groups, _, _, row_bytes = words[:11]
        step = max(1, BLOCK_BYTES // max(1, row_bytes * ROWS))
        for group in range(groups):
            for block in range(first, end, step):
                done = 0
                while done < width:
                    done += column(mode, words, group, done, (block, min(block + step, end)))

    return run_tiles


run_tiles = _compiled(STAMP)
