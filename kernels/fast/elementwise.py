"""Elementwise ops: programs of rows, and single numpy calls where those have no step."""

from functools import partial

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.chain import row_writer
from emu.kernels.fast.steps import ELEMENTWISE as STEPS
from emu.kernels.fast.writer import ANY, Writer, calling


def _power(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> None:
    x, exponent = ins
    if exponent.size == 1 and exponent.reshape(()) == 2:
        np.square(x, out=out)
    else:
        np.power(x, exponent, out=out)


ELEMENTWISE: dict[str, Writer] = {
    **{op: row_writer(op, ANY) for op in STEPS},
    "Log": Writer(lambda ins, attrs, out: partial(np.log, *ins, out=out), ANY),
    "Pow": calling(_power, ANY),
}
