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


def _tiles(tap: Any) -> Tiles:
    """Tiles of ROWS rows and of one, by the number of vectors."""
    return tuple(tile(tap, rows, vectors) for rows in (ROWS, 1) for vectors in (1, VECTORS))


PRODUCT, DEPTHWISE, LARGEST = range(3)
P_SMALL, P_LARGE, P_SMALL_ROW, P_LARGE_ROW = _tiles(product)
P_NARROW, P_NARROW_ROW = (tile(product, rows, 1, NARROW) for rows in (ROWS, 1))
NARROW_KIND = 4  # and one more for a row
D_SMALL, D_LARGE, D_SMALL_ROW, D_LARGE_ROW = _tiles(depthwise)
L_SMALL, L_LARGE, L_SMALL_ROW, L_LARGE_ROW = _tiles(largest)


@njit
def product_tile(kind: int, words: Words) -> None:
    """Compute a tile of one kind; numba has no tables of functions."""
    if kind == 0:
        P_SMALL(words)
    elif kind == 1:
        P_LARGE(words)
    elif kind == 2:
        P_SMALL_ROW(words)
    elif kind == 3:
        P_LARGE_ROW(words)
    elif kind == NARROW_KIND:
        P_NARROW(words)
    else:
        P_NARROW_ROW(words)


@njit
def depthwise_tile(kind: int, words: Words) -> None:
    """As ``product_tile``, each channel alone."""
    if kind == 0:
        D_SMALL(words)
    elif kind == 1:
        D_LARGE(words)
    elif kind == 2:
        D_SMALL_ROW(words)
    else:
        D_LARGE_ROW(words)


@njit
def largest_tile(kind: int, words: Words) -> None:
    """As ``product_tile``, the largest of each window."""
    if kind == 0:
        L_SMALL(words)
    elif kind == 1:
        L_LARGE(words)
    elif kind == 2:
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
def column(mode: int, words: Array, group: int, column: int, block: tuple[int, int]) -> int:
    """Compute one block of rows and of channels; return how many channels that is."""
    rows, _, _, width, padded, _, x, group_bytes, _ = words[:9]
    places, taps, channels, weights, start, out, pitch, more, more_pitch = words[9:18]
    height = ROWS if rows >= ROWS else 1
    vectors = VECTORS if width - column > (VECTORS - 1) * LANES else 1
    is_narrow = mode == PRODUCT and width - column <= NARROW
    channel = group * padded + column
    behind = 4 * (group * width + column)
    for t in range(block[0], block[1]):
        row = min(t * height, rows - height)
        one_tile(
            mode,
            NARROW_KIND + (height == 1) if is_narrow else (vectors > 1) + 2 * (height == 1),
            (
                places + 4 * t * taps * height,
                taps,
                channels,
                weights + 4 * channel * taps * (channels if mode == PRODUCT else 1),
                start + 4 * channel,
                out + row * pitch + behind,
                pitch,
                more + (row * more_pitch + behind if more else 0),
                more_pitch,
                x + (group * group_bytes if mode == PRODUCT else 4 * column),
                words[18],
                words[19],
                min(LANES, width - column - (vectors - 1) * LANES),
            ),
        )
    return vectors * LANES


def _compiled(stamp: str) -> Any:
    """The function that computes a result; what numba keeps on disk is for one ``stamp`` only."""

    @njit(cache=True, nogil=True)
    def run_tiles(mode: int, words: Array) -> None:
        assert len(stamp) > 0  # closed over, which numba looks at; at other files it does not
        rows, first, end, width, _, groups, _, _, row_bytes = words[:9]
        height = ROWS if rows >= ROWS else 1
        step = max(1, BLOCK_BYTES // max(1, row_bytes * height))
        for group in range(groups):
            for block in range(first, end, step):
                done = 0
                while done < width:
                    done += column(mode, words, group, done, (block, min(block + step, end)))

    return run_tiles


run_tiles = _compiled(STAMP)
