"""Elementwise ops: programs of rows, and numpy where those have no step."""

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.chain import row_writer
from emu.kernels.fast.steps import ELEMENTWISE as STEPS
from emu.kernels.fast.steps import whole_exponent
from emu.kernels.fast.writer import ANY, Writer, calling


def _power(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    """By multiplying where that is all, with the bits that a run of nodes has."""
    x, exponent = ins
    whole = whole_exponent(exponent)
    if whole is None:
        np.power(x, exponent, out=out)
        return
    found = np.square(x)
    for _ in range(whole - 2):
        np.multiply(found, x, out=found)
    np.copyto(out, found)


ELEMENTWISE: dict[str, Writer] = {
    **{op: row_writer(op, ANY) for op in STEPS},
    "Pow": calling(_power, ANY),
}
