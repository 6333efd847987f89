"""Buckets: programs of a few sizes that are compiled ahead, which all other sizes run in.

A compiler of static shapes takes no open dimension. What its runtimes do instead is to pad a batch
or a sequence up to one that was compiled, and to split a batch that is over the largest.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from emu.devices.device import Device
from emu.ir.errors import BadOption
from emu.lockin.dimension import BATCH, Dimension
from emu.lockin.parts import Choice
from emu.lockin.pieces import Arrays, Pieces, pieces_of
from emu.lockin.session import Ran, Session
from emu.lockin.trial import Laboratory


@dataclass(frozen=True)
class Buckets:
    """A stack with a program of an open dimension, compiled for each of some of its ``sizes``.

    The ``laboratory`` has the program as it is, with its dimension open.
    """

    choice: Choice
    laboratory: Laboratory
    sizes: tuple[int, ...]
    dimension: Dimension = BATCH

    @cached_property
    def sessions(self) -> Mapping[int, Session]:
        """A program for each size; raises what opening a session raises."""
        catalogue, source = self.laboratory.catalogue, self.laboratory.source
        bound = {size: replace(source.of_size(size), symbols=()) for size in sorted({*self.sizes})}
        return {n: Session(self.choice, Laboratory(catalogue, one)) for n, one in bound.items()}

    @property
    def chip(self) -> Device:
        """The chip, with what the front end needs per launch."""
        return next(iter(self.sessions.values())).chip

    def parts(self, size: int) -> tuple[int, ...]:
        """The buckets that a size runs in, one after another; none is compiled for that.

        That is the largest as often as the size fills it, then the smallest that holds the rest.
        Raises BadOption for more parts than the dimension allows.
        """
        largest, most = max(self.sizes), self.dimension.most_parts
        full, rest = divmod(size, largest)
        if full + bool(rest) > most:
            runs = "the largest" if most == 1 else f"{most:,} runs of the largest"
            why = f"a {self.dimension.name} of {size:,} is over {runs}, {largest:,}"
            raise BadOption(f"--buckets: {why}{', and cannot be split' if most == 1 else ''}")
        last = [min(one for one in self.sizes if one >= rest)] if rest else []
        return (*[largest] * full, *last)

    def pieces(self, size: int) -> Pieces:
        """How values of a size go into its buckets; raises BadOption for one that cannot."""
        source, parts = self.laboratory.source, self.parts(size)
        return pieces_of(size, parts, *(source.of_size(n).graph for n in (size, parts[0])))

    def run(self, inputs: Arrays | None = None, size: int = 1) -> Ran:
        """Run a size in its buckets, one after another; without ``inputs`` only calls are made.

        What was padded is cut off the outputs again. Raises BadOption for a value that does not
        grow with the dimension by whole rows.
        """
        if inputs is None:
            return _together([self.sessions[part].run() for part in self.parts(size)], {})
        pieces = self.pieces(size)
        ran = [self.sessions[part].run(given) for part, given in pieces.given(inputs)]
        return _together(ran, pieces.whole([one.outputs for one in ran]))


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


def as_text(parts: Sequence[int]) -> str:
    """Buckets in words: 2 x 16 + 4."""
    return " + ".join(_counted(parts))


def _counted(parts: Sequence[int]) -> Iterator[str]:
    for size in dict.fromkeys(parts):
        count = parts.count(size)
        yield f"{size}" if count == 1 else f"{count} x {size}"
