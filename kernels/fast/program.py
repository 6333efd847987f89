"""Programs of rows: the words of machine code, made from steps and from where arrays lie."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from emu.ir.types import Array
from emu.kernels.fast.code import Code, Term
from emu.kernels.fast.rows import F32_BYTES, Laid, Operand
from emu.kernels.fast.writer import Call, Held, shares

PART = 1024  # elements of rows at a time; some registers of them fit a core's first cache


def native() -> Any:
    """The module of compiled programs of rows; numba is imported for those who need it only."""
    return import_module("emu.kernels.native.rows")


def program(
    code: Code, places: Mapping[int, Operand], laid: Laid, folds: bool, held: tuple[Array, ...]
) -> Call:
    """The step that runs ``code`` on all rows; one that ``folds`` takes each row as a whole.

    Results of the steps in ``places`` are written there, all others to registers, which are memory.
    """
    whole = Part(0, laid.rows, 0, laid.columns)

    def split(parts: int) -> list[Call]:
        return [_call(code, places, laid, folds, held, p) for p in _cut(laid, folds, parts)]

    call = _call(code, places, laid, folds, held, whole)
    call.work, call.split = laid.rows * laid.columns * len(code.steps), split
    return call


@dataclass(frozen=True, slots=True)
class Part:
    """Rows from ``first`` to ``end``, of each the elements from ``left`` to ``right``."""

    first: int
    end: int
    left: int
    right: int


def _cut(laid: Laid, folds: bool, parts: int) -> list[Part]:
    """Parts of about the same size: of rows, or of elements if rows are few and not folded."""
    if laid.rows >= parts or folds:
        return [Part(a, b, 0, laid.columns) for a, b in shares(laid.rows, parts)]
    return [Part(0, laid.rows, a, b) for a, b in shares(laid.columns, parts, PART)]


def _call(
    code: Code,
    places: Mapping[int, Operand],
    laid: Laid,
    folds: bool,
    held: tuple[Array, ...],
    of: Part,
) -> Held:
    """The step on a part, with registers of its own."""
    columns = of.right - of.left
    part = max(1, columns if folds else min(PART, columns))
    group = max(1, PART // part)
    registers = _registers(code, places)
    memory = np.empty((max(registers.values(), default=0) + 1, group, part), np.float32)
    numbers = {t: i for i, t in enumerate(_numbers(code))}
    pool = np.array([*numbers], np.float32)

    def operand(term: Term) -> Operand:
        if isinstance(term, Operand):
            return replace(term, at=term.at + of.left * term.by_element)
        if isinstance(term, float):
            return Operand(pool.ctypes.data + F32_BYTES * numbers[term])
        is_number = code.steps[term].single
        if term in places:
            o = places[term]
            return replace(o, at=o.at + of.left * o.by_element, is_number=is_number)
        at = memory.ctypes.data + memory.strides[0] * registers[term]
        return Operand(at, is_number=is_number, in_group=memory.strides[1])

    words = [of.first, of.end, columns, part, len(code.steps), *laid.sizes[1:], group]
    for position, step in enumerate(code.steps):
        is_single = step.single and step.name not in native().FOLDS
        words += [native().NAMES.index(step.name), int(is_single)]
        for term in (position, step.a, step.b):
            o = operand(term)
            in_group = o.by_row[-1] if o.in_group is None else o.in_group
            words += [o.at, *o.by_row, o.by_element, int(o.is_number), in_group]
    given = np.array(words, np.int64)
    return Held(native().run_rows, given, held=(*held, memory, pool))


def _numbers(code: Code) -> dict[float, None]:
    terms = (t for step in code.steps for t in (step.a, step.b))
    return dict.fromkeys(t for t in terms if isinstance(t, float))


def _registers(code: Code, places: Mapping[int, Operand]) -> dict[int, int]:
    """A register for each step whose result is not in ``places``; free after its last reader."""
    last: dict[int, int] = {}
    for position, step in enumerate(code.steps):
        last.update((t, position) for t in (step.a, step.b) if isinstance(t, int))
    found: dict[int, int] = {}
    free: list[int] = []
    for position in range(len(code.steps)):
        if position not in places:
            found[position] = free.pop() if free else len(set(found.values()))
        done = [t for t in found if last.get(t, t) == position]
        free += [found[t] for t in done]
    return found
