"""Ops bound to memory: what they read and where they write is known before they run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self, TypeAlias

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array

# Does one step of a run; whatever it reads and writes is bound.
Call: TypeAlias = Callable[[], object]
# Returns the step that computes an op of the given inputs into the last argument.
Bind: TypeAlias = Callable[[tuple[Array, ...], Attrs, Array], Call]
Into: TypeAlias = Callable[[tuple[Array, ...], Attrs, Array], object]
Result: TypeAlias = Callable[[tuple[Array, ...], Attrs], Array]
Covers: TypeAlias = Callable[[tuple[Array, ...], Attrs], bool]


# Calls that together do what one does, at most so many, on parts that nobody else writes to.
Split: TypeAlias = Callable[[int], Sequence[Call]]


class Held(partial[object]):
    """A call of machine code that holds the arrays which the addresses in its words point to.

    ``work`` is how many elements it takes, step by step; ``split`` makes parts of it, with the
    same bits, that may run at the same time.
    """

    held: tuple[object, ...]
    work: int
    split: Split | None

    def __new__(
        cls,
        run: Callable[..., object],
        *words: object,
        held: tuple[object, ...],
        work: int = 0,
        split: Split | None = None,
    ) -> Self:
        """Take the function, what it is called with, and what is held."""
        made = super().__new__(cls, run, *words)
        made.held, made.work, made.split = held, work, split
        return made


@dataclass(frozen=True, slots=True)
class InTurn:
    """Steps that are one: each needs what those before it made."""

    calls: tuple[Call, ...]

    def __call__(self) -> None:
        """Do them all."""
        for call in self.calls:
            call()


def flat(calls: Sequence[Call]) -> tuple[Call, ...]:
    """The steps in order, with those that are several taken apart."""
    found: list[Call] = []
    for call in calls:
        found += flat(call.calls) if isinstance(call, InTurn) else [call]
    return tuple(found)


def shares(count: int, parts: int, unit: int = 1) -> list[tuple[int, int]]:
    """``count`` things in at most so many ranges of equal length, in whole units but the last."""
    units = -(-count // unit)
    each = unit * max(1, -(-units // parts))
    return [(first, min(first + each, count)) for first in range(0, count, each)]


NONE, FIRST, ANY = range(3)


def always(ins: Sequence[Array], attrs: Attrs) -> bool:
    """Whether shapes and attributes are covered: they are, whatever they are."""
    del ins, attrs
    return True


@dataclass(frozen=True, slots=True)
class Writer:
    """How to compute an op of f32 inputs, which are never written, into a given dense array.

    ``over`` says over which inputs of the result's shape the result may be written: NONE, the
    FIRST if it is no other input too, or ANY. ``covers`` says whether shapes and attributes are
    those that ``bind`` is made for.
    """

    bind: Bind
    over: int = NONE
    covers: Covers = always


def calling(into: Into, over: int = NONE) -> Writer:
    """Return the writer that calls ``into`` with inputs, attributes and the result's memory."""
    return Writer(lambda ins, attrs, out: partial(into, ins, attrs, out), over)


def copying(result: Callable[[tuple[Array, ...], Attrs], Array], covers: Covers = always) -> Writer:
    """Return the writer that copies what ``result`` returns."""

    def into(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
        np.copyto(out, result(ins, attrs))

    return replace(calling(into), covers=covers)
