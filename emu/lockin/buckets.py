"""Buckets: programs of a few batches that are compiled ahead, which all other batches run in.

A compiler of static shapes takes no open batch. What its runtimes do instead is to pad a batch up
to one that was compiled, and to split one that is over the largest.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np

from emu.devices.device import Device
from emu.ir.errors import BadOption
from emu.ir.types import Array, TensorType
from emu.lockin.parts import Choice
from emu.lockin.session import Ran, Session
from emu.lockin.trial import Laboratory

Arrays = Mapping[str, Array]
MOST_RUNS = 1000  # of one batch


@dataclass(frozen=True)
class Buckets:
    """A stack with a program of an open batch, compiled for each of some batches, smallest first.

    The ``laboratory`` has the program as it is, with its batch open.
    """

    choice: Choice
    laboratory: Laboratory
    sessions: Mapping[int, Session]

    @classmethod
    def of(cls, choice: Choice, laboratory: Laboratory, sizes: Sequence[int]) -> "Buckets":
        """Compile a program for batches of some sizes; raises what opening a session raises."""
        catalogue, source = laboratory.catalogue, laboratory.source
        bound = {size: replace(source.of_batch(size), symbols=()) for size in sorted({*sizes})}
        opened = {n: Session(choice, Laboratory(catalogue, one)) for n, one in bound.items()}
        return cls(choice, laboratory, opened)

    @property
    def chip(self) -> Device:
        """The chip, with what the front end needs per launch."""
        return next(iter(self.sessions.values())).chip

    def parts(self, batch: int) -> tuple[int, ...]:
        """The buckets that a batch runs in, one after another.

        That is the largest as often as the batch fills it, then the smallest that holds the rest.
        Raises BadOption for more than MOST_RUNS.
        """
        *_, largest = self.sessions
        full, rest = divmod(batch, largest)
        if full + bool(rest) > MOST_RUNS:
            why = f"a batch of {batch:,} is over {MOST_RUNS:,} runs of the largest, {largest:,}"
            raise BadOption(f"--buckets: {why}")
        last = [next(size for size in self.sessions if size >= rest)] if rest else []
        return (*[largest] * full, *last)

    def run(self, inputs: Arrays | None = None, batch: int = 1) -> Ran:
        """Run a batch in its buckets, one after another; without ``inputs`` only calls are made.

        What was padded is cut off the outputs again. Raises BadOption for a value that does not
        grow with the batch by whole rows.
        """
        parts = self.parts(batch)
        if inputs is None:
            return _together([self.sessions[size].run() for size in parts], {})
        rows = self._rows(batch)
        ends = accumulate(parts, lambda end, size: min(end + size, batch), initial=0)
        ran: list[Ran] = []
        for size, (start, end) in zip(parts, pairwise(ends), strict=True):
            given = {n: rows[n].padded(a, start, end, size) for n, a in inputs.items()}
            one = self.sessions[size].run(given)
            cut = {n: rows[n].taken(a, end - start) for n, a in one.outputs.items()}
            ran.append(replace(one, outputs=cut))
        names = ran[0].outputs
        return _together(ran, {n: rows[n].joined([one.outputs[n] for one in ran]) for n in names})

    def _rows(self, batch: int) -> Mapping[str, "Rows"]:
        """Along which axis each input and output grows, and by how much for one of the batch."""
        source = self.laboratory.source
        graph, longer = (source.of_batch(size).graph for size in (batch, batch + 1))
        names = (*graph.inputs, *graph.outputs)
        return {name: _rows(name, graph.types[name], longer.types[name], batch) for name in names}


def _together(ran: Sequence[Ran], outputs: Arrays) -> Ran:
    """Runs one after another as one."""
    calls: dict[str, Counter[str]] = {}
    for part, made in ((part, made) for one in ran for part, made in one.calls.items()):
        calls.setdefault(part, Counter()).update(made)
    return Ran(
        outputs,
        calls,
        sum(one.compiles for one in ran),
        sum(one.recompiles for one in ran),
        _sum([one.ledger for one in ran]),
        _sum([one.copied_bytes for one in ran]),
    )


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {key: sum(count.get(key, 0) for count in counts) for key in counts[0]}


@dataclass(frozen=True)
class Rows:
    """How a value grows with the batch: by ``each`` along an ``axis``; not at all without one."""

    axis: int | None
    each: int = 0

    def padded(self, array: Array, start: int, end: int, size: int) -> Array:
        """The rows of some of a batch, with zeros behind them up to the size of a bucket."""
        if self.axis is None:
            return array
        found = self._cut(array, start * self.each, end * self.each)
        room = [(0, 0)] * array.ndim
        room[self.axis] = (0, (size - (end - start)) * self.each)
        return np.pad(found, room)

    def taken(self, array: Array, count: int) -> Array:
        """The rows of the first of a batch."""
        return array if self.axis is None else self._cut(array, 0, count * self.each)

    def joined(self, arrays: Sequence[Array]) -> Array:
        """The rows of all parts."""
        return arrays[0] if self.axis is None else np.concatenate(arrays, self.axis)

    def _cut(self, array: Array, first: int, end: int) -> Array:
        places = [slice(None)] * array.ndim
        places[self.axis or 0] = slice(first, end)
        return array[tuple(places)]


def _rows(name: str, type: TensorType, longer: TensorType, batch: int) -> Rows:
    if type == longer:
        return Rows(None)
    grown = [a for a, (d, e) in enumerate(zip(type.dims, longer.dims, strict=True)) if d != e]
    (axis, *others) = grown
    each = longer.dims[axis] - type.dims[axis]
    if others or each * batch != type.dims[axis]:
        raise BadOption(f"--buckets: '{name}' does not grow by whole rows with the batch")
    return Rows(axis, each)


def as_text(parts: Sequence[int]) -> str:
    """Buckets in words: 2 x 16 + 4."""
    return " + ".join(_counted(parts))


def _counted(parts: Sequence[int]) -> Iterator[str]:
    for size in dict.fromkeys(parts):
        count = parts.count(size)
        yield f"{size}" if count == 1 else f"{count} x {size}"
