"""Rows: how the elements of several arrays of one shape are taken side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from emu.ir.types import Array

ROW_DIMS = 3  # over which rows may lie unevenly
F32_BYTES = 4
Ints: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """Where numbers lie: an address, and how many bytes apart from row to row and in a row.

    ``is_number`` if one number stands for all elements of a row. Registers, which rows do not have
    for themselves, have a part for each row of a group, ``in_group`` bytes apart.
    """

    at: int
    by_row: Ints = (0,) * ROW_DIMS
    by_element: int = 0
    is_number: bool = True
    in_group: int | None = None


@dataclass(frozen=True)
class Laid:
    """Rows over ROW_DIMS dimensions, of ``columns`` elements each, and where operands lie."""

    sizes: Ints
    columns: int
    operands: tuple[Operand, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return prod(self.sizes)


@dataclass(frozen=True)
class _Dim:
    """Neighbouring dimensions that each array steps through evenly, ``by[i]`` bytes in array i."""

    size: int
    by: Ints


@dataclass(frozen=True)
class Frame:
    """All elements of ``shape``, with its dimensions in ``order``.

    Dimensions from ``folded`` on are a row; if it is None, rows are as long as can be.
    """

    shape: Ints
    order: Ints
    folded: int | None = None

    @property
    def is_turned(self) -> bool:
        """Whether dimensions lie in another order than they are seen in."""
        return self.order != tuple(range(len(self.shape)))

    def room(self, shape: Ints) -> Array:
        """Room for f32 of a shape that broadcasts to that of the frame, dense in order."""
        full = (*(1,) * (len(self.shape) - len(shape)), *shape)
        room = np.empty([full[d] for d in self.order], np.float32)
        return room.transpose(np.argsort(self.order)).reshape(shape)

    def fits(self, x: Array) -> bool:
        """Whether ``x`` lies evenly along the elements of a row."""
        _, inner = self._merged([x])
        return not inner or (len(inner) == 1 and inner[0].by[0] in (0, F32_BYTES))

    def is_even(self, x: Array) -> bool:
        """Whether ``x`` is dense in order, or one number for all elements."""
        rows, inner = self._merged([x])
        return not rows and all(d.by[0] in (0, F32_BYTES) for d in inner)

    def laid(self, arrays: Sequence[Array]) -> Laid | None:
        """How arrays that fit lie; None if their rows do over more than ROW_DIMS dimensions."""
        rows, inner = self._merged(arrays)
        if len(rows) > ROW_DIMS:
            return None
        one = _Dim(1, (0,) * len(arrays))
        rows = [one] * (ROW_DIMS - len(rows)) + rows
        (columns,) = inner or [one]
        operands = tuple(
            Operand(x.ctypes.data, tuple(d.by[i] for d in rows), columns.by[i], not columns.by[i])
            for i, x in enumerate(arrays)
        )
        return Laid(tuple(d.size for d in rows), columns.size, operands)

    def _merged(self, arrays: Sequence[Array]) -> tuple[list[_Dim], list[_Dim]]:
        """The dimensions that count rows, and those within one, as few as all arrays allow."""
        strides = [np.broadcast_to(x, self.shape).strides for x in arrays]
        dims = [_Dim(self.shape[d], tuple(s[d] for s in strides)) for d in self.order]
        if self.folded is not None:
            return _joined(dims[: self.folded]), _joined(dims[self.folded :])
        found = _joined(dims)
        return found[:-1], found[-1:]


def _joined(dims: Sequence[_Dim]) -> list[_Dim]:
    found: list[_Dim] = []
    for dim in dims:
        if dim.size == 1:
            continue
        if found and found[-1].by == tuple(step * dim.size for step in dim.by):
            found[-1] = _Dim(found[-1].size * dim.size, dim.by)
        else:
            found.append(dim)
    return found
