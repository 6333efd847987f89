"""Ops that look up places: taken from and added to where indices say, found in order, blended.

Arrays are dense, seen as ``[outer, entries, inner]`` around an axis; ``words`` (int64, ``WORDS``)
say where they lie. Indices are int64, negative ones count from the end; one that is outside raises
IndexError(index, entries), and what was written by then is worth nothing.
"""

from typing import Any

import numba
import numpy as np

from emu.ir.types import Array
from emu.kernels.native.stamp import STAMP
from emu.kernels.native.tiles import REAL, WORD, cgutils, intrinsic, ir, types

njit: Any = numba.njit
ONE = np.float32(1)
TAKE, PUT, TAKE_ALONG, PUT_ALONG, ADD_ALONG, LARGEST, SMALLEST, HIGHEST, LOWEST, BLEND = range(10)
WORDS = (
    "kind",
    "out",
    "x",  # what is taken from; of what is put or added, the updates
    "indices",  # one for each element that goes along, else ``depth`` for each place
    "outer",
    "count",  # places of each outer index that are looked up, or found
    "entries",  # of the axis, or of all that an index of several numbers names
    "inner",
    "item",  # bytes of an element: 4 or 8 along an axis
    "indices_step",  # bytes from the indices of one outer index to those of the next
    "depth",  # numbers that name a place; the words that follow say of how many entries each
)
SHARES = len(WORDS)  # of BLEND the word that follows: where the shares f32[count] lie


def _reader(type: Any, bytes: int) -> Any:
    @intrinsic
    def read(context: Any, address: Any) -> Any:
        """What lies at an address."""
        del context

        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = builder.inttoptr(arguments[0], type.as_pointer())
            return builder.load(place, align=bytes)

        return (types.float32 if type is REAL else types.int64)(address), write

    return read


def _writer(type: Any, bytes: int) -> Any:
    @intrinsic
    def put(context: Any, address: Any, value: Any) -> Any:
        """Write to an address."""
        del context

        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = builder.inttoptr(arguments[0], type.as_pointer())
            builder.store(arguments[1], place, align=bytes)
            return context.get_dummy_value()

        return types.void(address, types.float32 if type is REAL else types.int64), write

    return put


read_real, read_word = _reader(REAL, 4), _reader(WORD, 8)
put_real, put_word = _writer(REAL, 4), _writer(WORD, 8)


@intrinsic
def move(context: Any, out: Any, x: Any, size: Any) -> Any:
    """Copy some bytes between addresses."""
    del context

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        to, come = (builder.inttoptr(a, byte) for a in arguments[:2])
        cgutils.raw_memcpy(builder, to, come, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(out, x, size), write


@njit
def place(address: int, entries: int) -> int:
    """The entry that an index at an address names; raises IndexError."""
    index: int = read_word(address)
    if index < -entries or index >= entries:
        raise IndexError(index, entries)
    return index + entries if index < 0 else index


@njit
def named(words: Array, address: int) -> int:
    """The entry that ``depth`` numbers at an address name."""
    found = 0
    for i in range(words[10]):
        entries = words[11 + i]
        found = found * entries + place(address + 8 * i, entries)
    return found


@njit
def parts(words: Array) -> None:
    """Whole inner parts, taken from where indices say or put there."""
    kind, out, x, indices, outer, count, entries, inner, item, step, depth = words[:11]
    size = inner * item
    for o in range(outer):
        for n in range(count):
            there = (o * entries + named(words, indices + o * step + 8 * n * depth)) * size
            here = (o * count + n) * size
            if kind == TAKE:
                move(out + here, x + there, size)
            else:
                move(out + there, x + here, size)


@njit
def along(words: Array) -> None:
    """Element by element, each at a place of its own along the axis."""
    indices, outer, count, entries, inner = words[3:8]
    for o in range(outer):
        for n in range(count):
            for i in range(inner):
                here = (o * count + n) * inner + i
                there = (o * entries + place(indices + 8 * here, entries)) * inner + i
                go(words, here, there)


@njit
def go(words: Array, here: int, there: int) -> None:
    """Take, put or add one element ``here`` of what goes along, ``there`` of what is looked up."""
    kind, out, x, item = words[0], words[1], words[2], words[8]
    if kind == TAKE_ALONG:
        move_item(out + here * item, x + there * item, item)
    elif kind == PUT_ALONG:
        move_item(out + there * item, x + here * item, item)
    else:
        to = out + 4 * there
        put_real(to, read_real(to) + read_real(x + 4 * here))


@njit
def move_item(out: int, x: int, item: int) -> None:
    """Copy one element of 4 or 8 bytes."""
    if item == 4:
        put_real(out, read_real(x))
    else:
        put_word(out, read_word(x))


@njit
def is_before(a: float, b: float, kind: int) -> bool:
    """Whether a comes before b in order: NaN comes last, or first of what is HIGHEST or LOWEST."""
    if a != a or b != b:
        first, second = (a, b) if kind >= HIGHEST else (b, a)
        return first != first and second == second
    return a > b if kind in (LARGEST, HIGHEST) else a < b


@njit
def ranked(words: Array) -> None:
    """The places of the first ``count`` in order, by insertion; of equal ones the lower first."""
    kind, out, x, _, outer, count, entries, inner = words[:8]
    for o in range(outer):
        for i in range(inner):
            start, line = x + 4 * (o * entries * inner + i), out + 8 * (o * count * inner + i)
            for n in range(entries):
                insert(line, start, n, count, inner, kind)


@njit
def insert(line: int, start: int, n: int, count: int, inner: int, kind: int) -> None:
    """Put the place ``n`` of the entries from ``start`` where it belongs in a line of places."""
    value, at = read_real(start + 4 * n * inner), min(n, count)
    while at > 0:
        other = read_word(line + 8 * (at - 1) * inner)
        if not is_before(value, read_real(start + 4 * other * inner), kind):
            break
        if at < count:
            put_word(line + 8 * at * inner, other)
        at -= 1
    if at < count:
        put_word(line + 8 * at * inner, n)


@njit
def blend(words: Array) -> None:
    """Inner parts between two entries, of the second as much as a share says."""
    out, x, indices, outer, count, entries, inner = words[1:8]
    for o in range(outer):
        for n in range(count):
            share = read_real(words[SHARES] + 4 * n)
            rest = ONE - share
            low = x + 4 * (o * entries + place(indices + 16 * n, entries)) * inner
            high = x + 4 * (o * entries + place(indices + 16 * n + 8, entries)) * inner
            to = out + 4 * (o * count + n) * inner
            for i in range(inner):
                below, above = read_real(low + 4 * i), read_real(high + 4 * i)
                put_real(to + 4 * i, below * rest + above * share)


def _compiled(stamp: str) -> Any:
    """The function that looks up; what numba keeps on disk is for one ``stamp`` only."""

    @njit(cache=True, nogil=True)
    def run_places(words: Array) -> None:
        assert len(stamp) > 0  # closed over, which numba looks at; at other files it does not
        kind = words[0]
        if kind <= PUT:
            parts(words)
        elif kind == BLEND:
            blend(words)
        elif kind >= LARGEST:
            ranked(words)
        else:
            along(words)

    return run_places


run_places = _compiled(STAMP)
