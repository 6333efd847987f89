"""Index maps: for each element of a value, where it lies in memory.

A map is spelled as oneDNN spells its format tags, outermost first: a letter is what is left of a
dimension, a number before it makes it a block of so many neighbours, as ``nchw16c`` has blocks of
16 channels innermost. Letters are those of images (n, c, h, w) and of weights of convolutions (o,
i, h, w). Two dots stand for every dimension that is not named; after them r and c are the last two,
as in ``..rc8r128c``, XLA's T(8,128). A map may be wrong: that shows when an array is packed by it.

Sources: oneDNN developer guide, Understanding Memory Formats; openxla.org/xla/tiled_layout.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGE = {"n": 0, "o": 0, "c": 1, "i": 1, "h": 2, "w": 3}
ROWS = {"r": -2, "c": -1}
DOTS = ".."
TERM = re.compile(r"([1-9]\d{0,3})?([a-z])")


@dataclass(frozen=True, slots=True)
class Term:
    """A block of neighbours along ``axis``, or what is left of it where ``block`` is 0."""

    axis: int
    block: int = 0


@dataclass(frozen=True, slots=True)
class IndexMap:
    """The terms of a map, outermost first; ``dots`` is whether other dimensions stand before."""

    terms: tuple[Term, ...]
    dots: bool

    @property
    def rank(self) -> int | None:
        """How many dimensions a value must have, None if any that has those that are named."""
        return None if self.dots else len(set(IMAGE.values()))

    @property
    def granule(self) -> tuple[int, ...]:
        """Neighbours that are stored together along each of the last dimensions."""
        named = {term.axis for term in self.terms}
        axes = range(min(named, default=0), 0) if self.dots else range(self.rank or 0)
        return tuple(prod(t.block for t in self.terms if t.axis == a and t.block) for a in axes)

    def over(self, rank: int) -> tuple[Term, ...]:
        """The terms for a value of ``rank`` dimensions, counted from the first."""
        named = tuple(Term(term.axis % rank, term.block) for term in self.terms)
        rest = set(range(rank)) - {term.axis for term in named} if self.dots else ()
        return (*map(Term, sorted(rest)), *named)


@lru_cache(maxsize=1024)
def spelled(text: str) -> IndexMap:
    """The map that a text spells; raises ValueError for a text that spells none."""
    dots = text.startswith(DOTS)
    letters, body = (ROWS, text[len(DOTS) :]) if dots else (IMAGE, text)
    found = TERM.findall(body)
    written = "".join(block + letter for block, letter in found)
    if written != body or not (dots or body) or any(letter not in letters for _, letter in found):
        raise ValueError(
            f"'{text}' spells no index map: blocks of up to 9999, and {', '.join(letters)}"
        )
    return IndexMap(tuple(Term(letters[a], int(block or 0)) for block, a in found), dots)


def pack(map: IndexMap, array: NDArray[Any]) -> NDArray[Any]:
    """The memory [room] in which the elements of an array lie; zeros where none does."""
    places, room = placed(map, array.shape)
    memory = np.zeros(room, array.dtype)
    memory[places] = array
    return memory


def unpack(map: IndexMap, memory: NDArray[Any], dims: tuple[int, ...]) -> NDArray[Any]:
    """The array [dims] whose elements lie in memory, as far as the map kept them."""
    return memory[placed(map, dims)[0]]


def placed(map: IndexMap, dims: tuple[int, ...]) -> tuple[NDArray[np.int64], int]:
    """The place of each element [dims], and how many places there are.

    A block takes what is left of an index modulo its size, and leaves the quotient.
    """
    places, stride = np.zeros(dims, np.int64), 1
    rest = [np.arange(extent) for extent in dims]
    for axis, extent in extents(map, dims):
        shape = [-1 if a == axis else 1 for a in range(len(dims))]
        places += (rest[axis] % extent).reshape(shape) * stride
        rest[axis] //= extent
        stride *= extent
    return places, stride


def extents(map: IndexMap, dims: tuple[int, ...]) -> list[tuple[int, int]]:
    """The axis and the extent of each term over a value [dims], innermost first."""
    left = list(dims)
    found: list[tuple[int, int]] = []
    for term in reversed(map.over(len(dims))):
        size = term.block or left[term.axis]
        found.append((term.axis, size))
        left[term.axis] = -(-left[term.axis] // size)
    return found
