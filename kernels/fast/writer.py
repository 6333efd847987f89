"""Ops that write their result where they are told, so that a chain of them needs one array."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array

# Computes into the last argument, which is dense, has the result's shape, and may be input 0.
Into: TypeAlias = Callable[[tuple[Array, ...], Attrs, Array], None]


@dataclass(frozen=True, slots=True)
class Writer:
    """How to compute an op of f32 inputs into a given array.

    ``ufunc`` marks a single call of an elementwise numpy function: its inputs are broadcast, and
    its result may overwrite any of them. Other ops may only overwrite input 0, whose shape is the
    result's.
    """

    into: Into
    ufunc: bool = False

    def run(self, ins: tuple[Array, ...], attrs: Attrs, spares: Sequence[Array] = ()) -> Array:
        """Return the result, written into the first of ``spares`` that has its shape, if any."""
        shape = np.broadcast_shapes(*(a.shape for a in ins)) if self.ufunc else ins[0].shape
        out = next((s for s in spares if s.shape == shape), None)
        out = np.empty(shape, np.float32) if out is None else out
        self.into(ins, attrs, out)
        return out
