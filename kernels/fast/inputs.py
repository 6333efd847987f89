"""What every fast implementation takes: arrays in f32 and typed attributes."""

from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array

Inputs: TypeAlias = Sequence[Array | None]
F32 = np.dtype(np.float32)


def present(ins: Inputs) -> tuple[Array, ...] | None:
    """Return the inputs without absent ones at the end; None unless all of them are f32."""
    last = max((i + 1 for i, a in enumerate(ins) if a is not None), default=0)
    found = tuple(a for a in ins[:last] if a is not None and a.dtype == F32)
    return found if len(found) == last else None


def integer(attrs: Attrs, name: str, default: int) -> int:
    """Return a whole-number attribute."""
    return cast(int, attrs.get(name, default))


def number(attrs: Attrs, name: str, default: float) -> float:
    """Return a numeric attribute."""
    return cast(float, attrs.get(name, default))


def integers(attrs: Attrs, name: str) -> tuple[int, ...]:
    """Return an attribute that lists whole numbers; absent is the empty list."""
    return cast(tuple[int, ...], attrs.get(name, ()))
