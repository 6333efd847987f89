"""Many small steps in one call: ``table`` says in turn what each is and where its words lie."""

from typing import Any

import numba

from emu.ir.types import Array
from emu.kernels.native.places import run_places
from emu.kernels.native.product import run_tiles
from emu.kernels.native.rows import run_rows
from emu.kernels.native.stamp import STAMP
from emu.kernels.native.turn import run_turn

njit: Any = numba.njit
# What a step is: a mode of ``run_tiles``, or one of these.
ROWS, TURN, PLACES = 3, 4, 5
TABLE = ("kind", "first", "end", "out", "x")  # of its words; addresses of copies that turn


def _compiled(stamp: str) -> Any:
    """The function that does all steps; what numba keeps on disk is for one ``stamp`` only."""

    @njit(cache=True, nogil=True)
    def run_all(table: Array, words: Array) -> None:
        assert len(stamp) > 0  # closed over, which numba looks at; at other files it does not
        for kind, first, end, out, x in table:
            own = words[first:end]
            if kind == ROWS:
                run_rows(own)
            elif kind == TURN:
                run_turn(own, out, x)
            elif kind == PLACES:
                run_places(own)
            else:
                run_tiles(kind, own)

    return run_all


run_all = _compiled(STAMP)
