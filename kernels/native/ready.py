"""All machine code of this folder made ready: loaded from disk, or compiled and kept there."""

import numpy as np

from emu.kernels.native.product import PRODUCT, WORDS, run_tiles
from emu.kernels.native.rows import START, run_rows


def make_ready() -> bool:
    """Load everything, by work on no rows; return whether something had to be compiled."""
    run_tiles(PRODUCT, np.zeros(len(WORDS), np.int64))
    run_rows(np.zeros(START, np.int64))
    return any(made.stats.cache_misses for made in (run_tiles, run_rows))
