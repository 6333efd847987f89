"""All machine code of this folder made ready: loaded from disk, or compiled and kept there."""

import numpy as np

from emu.kernels.native import places, product, rows, together, turn


def make_ready() -> bool:
    """Load everything, by work on no rows; return whether something had to be compiled."""
    product.run_tiles(product.PRODUCT, np.zeros(len(product.WORDS), np.int64))
    rows.run_rows(np.zeros(rows.START, np.int64))
    places.run_places(np.zeros(len(places.WORDS), np.int64))
    turn.run_turn(np.zeros(len(turn.WORDS), np.int64), 0, 0)
    nothing = np.zeros((0, len(together.TABLE)), np.int64)
    together.run_all(nothing, np.zeros(0, np.int64))
    made = (places.run_places, product.run_tiles, rows.run_rows, turn.run_turn, together.run_all)
    return any(function.stats.cache_misses for function in made)
