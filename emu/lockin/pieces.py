"""Values of one size of an open dimension, cut into those of its buckets and put together again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from emu.ir.errors import BadOption
from emu.ir.graph import Graph
from emu.ir.types import Array

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Rows:
    """How a value grows with a dimension: by how many rows along ``each`` of its axes."""

    each: tuple[int, ...]

    def cut(self, array: Array, first: int, behind: int) -> Array:
        """Leave away the rows of the ``first`` few of a dimension, and of the few ``behind``."""
        if not any(self.each):
            return array
        ends = zip(self.each, array.shape, strict=True)
        return array[tuple(slice(first * each, end - behind * each) for each, end in ends)]

    def padded(self, array: Array, count: int) -> Array:
        """Zeros behind the rows, for so many more of a dimension."""
        if not any(self.each):
            return array
        return np.pad(array, [(0, count * each) for each in self.each])

    def joined(self, arrays: Sequence[Array]) -> Array:
        """The rows of all parts, along the one axis that grows if there are several."""
        grown = [axis for axis, each in enumerate(self.each) if each]
        return np.concatenate(arrays, grown[0]) if grown and len(arrays) > 1 else arrays[0]


@dataclass(frozen=True)
class Pieces:
    """A size of a dimension in its ``parts``, and how each input and output grows with it."""

    size: int
    parts: tuple[int, ...]
    rows: Mapping[str, Rows]

    def given(self, inputs: Arrays) -> Iterator[tuple[int, Arrays]]:
        """Each bucket with its share of the inputs, padded with zeros up to its size."""
        for part, start, end in self._spans():
            behind, room = self.size - end, part - (end - start)
            shares = {n: self.rows[n].cut(array, start, behind) for n, array in inputs.items()}
            yield part, {n: self.rows[n].padded(array, room) for n, array in shares.items()}

    def whole(self, outputs: Sequence[Arrays]) -> Arrays:
        """The outputs of all buckets as those of the size, without those of what was padded."""
        rooms = [part - (end - start) for part, start, end in self._spans()]
        found: dict[str, Array] = {}
        for name in outputs[0]:
            made = zip(outputs, rooms, strict=True)
            cut = [self.rows[name].cut(one[name], 0, room) for one, room in made]
            found[name] = self.rows[name].joined(cut)
        return found

    def _spans(self) -> Iterator[tuple[int, int, int]]:
        """Each bucket, with the place of the first that it holds and that behind the last."""
        ends = accumulate(self.parts, lambda end, part: min(end + part, self.size), initial=0)
        for part, (start, end) in zip(self.parts, pairwise(ends), strict=True):
            yield part, start, end


def pieces_of(size: int, parts: tuple[int, ...], whole: Graph, one: Graph) -> Pieces:
    """The pieces of a size, from its graph, the ``whole``, and that of the first of its parts.

    Raises BadOption for an input or output that does not grow with the dimension by whole rows; one
    that is split must do so along one axis, from nothing.
    """
    rows: dict[str, Rows] = {}
    more = parts[0] - size
    for name in (*whole.inputs, *whole.outputs):
        dims, wider = whole.types[name].dims, one.types[name].dims
        rows[name] = _rows(name, dims, wider, more)
        if len(parts) > 1:
            _must_split(name, dims, rows[name], size)
    return Pieces(size, parts, rows)


def _rows(name: str, dims: tuple[int, ...], wider: tuple[int, ...], more: int) -> Rows:
    """The rows of a value for one of a dimension, of which ``wider`` has so many ``more``."""
    if dims == wider:
        return Rows((0,) * len(dims))
    if len(dims) != len(wider):
        raise _no_rows(name)
    grown = [divmod(e - d, more) for d, e in zip(dims, wider, strict=True)]
    if any(rest or each < 0 for each, rest in grown):
        raise _no_rows(name)
    return Rows(tuple(each for each, _ in grown))


def _must_split(name: str, dims: tuple[int, ...], rows: Rows, size: int) -> None:
    grown = [(each, dim) for each, dim in zip(rows.each, dims, strict=True) if each]
    if len(grown) > 1 or any(each * size != dim for each, dim in grown):
        raise _no_rows(name)


def _no_rows(name: str) -> BadOption:
    return BadOption(f"--buckets: '{name}' does not grow by whole rows from bucket to bucket")
