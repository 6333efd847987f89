"""Small steps of machine code that follow each other, made one call: calls cost more than they do.

Where a walk has thousands of them, as recurrent models do, its time is that of the calls.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from itertools import groupby
from typing import Any, TypeGuard

import numpy as np

from emu.ir.types import Array
from emu.kernels.fast.places import looking_up, naming
from emu.kernels.fast.writer import Call, Held

# Elements, step by step, of the largest step that is taken in: one that is done within a
# millisecond, so that a user who interrupts, or who asks where a run is, waits no longer.
MOST_WORK = 2**18
MOST_STEPS = 256  # in one call, for the same reason
NOWHERE = (0, 0)  # addresses of a step whose words say where it works


def native() -> Any:
    """The module of the compiled loop; numba is imported for those who compute with it only."""
    return import_module("emu.kernels.native.together")


def joined(calls: Sequence[Call]) -> list[tuple[int, Call]]:
    """The steps in order, neighbours that are small as one; and how many each of them is."""
    found: list[tuple[int, Call]] = []
    for small, group in groupby(calls, _is_small):
        steps = list(group)
        if not small:
            found += [(1, step) for step in steps]
            continue
        for first in range(0, len(steps), MOST_STEPS):
            part = steps[first : first + MOST_STEPS]
            found.append((len(part), part[0] if len(part) == 1 else _one(part)))
    return found


def _is_small(call: Call) -> TypeGuard[Held]:
    return isinstance(call, Held) and call.work <= MOST_WORK and call.func in _kinds()


def _one(calls: Sequence[Call]) -> Held:
    """One call for several of machine code."""
    table: list[tuple[int, ...]] = []
    words: list[Array] = []
    end = 0
    for call in calls:
        assert isinstance(call, Held)
        entry: tuple[Any, ...] = (*_kinds()[call.func], *call.args)
        kind, own, places = entry[0], entry[1], entry[2:]
        table.append((kind, end, end + own.size, *(places or NOWHERE)))
        words.append(own)
        end += own.size
    given = (np.array(table, np.int64), np.concatenate(words))
    return Held(_running(), *given, held=tuple(calls))


@cache
def _running() -> Callable[..., None]:
    return naming(native().run_all)


@cache
def _kinds() -> dict[Any, tuple[int, ...]]:
    """What each function of machine code is in a table; one says so by its first argument."""
    code = native()
    return {
        code.run_tiles: (),
        code.run_rows: (code.ROWS,),
        code.run_turn: (code.TURN,),
        looking_up(): (code.PLACES,),
    }
