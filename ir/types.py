"""Element types and tensor types."""

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Dim: TypeAlias = int | str

# The names are MLIR's, since every level prints as MLIR; numpy has the same types.
NUMPY = {
    "f64": np.dtype(np.float64),
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "i64": np.dtype(np.int64),
    "i32": np.dtype(np.int32),
    "i16": np.dtype(np.int16),
    "i8": np.dtype(np.int8),
    "ui8": np.dtype(np.uint8),
    "i1": np.dtype(np.bool_),
}
NAMES = {dtype: name for name, dtype in NUMPY.items()}


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape of one value; a dimension is a number or, until bound, a symbol."""

    dtype: str
    shape: tuple[Dim, ...]

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as numbers; raises ValueError while a dimension is still a symbol."""
        numbers = cast(tuple[int, ...], self.shape)
        for d in numbers:
            if d.__class__ is not int:
                raise ValueError(f"{self}: dimension '{d}' is not bound")
        return numbers

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.dims)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return NUMPY[self.dtype].itemsize

    @property
    def bytes(self) -> int:
        """Size in memory, dense, in bytes."""
        return self.elements * self.itemsize

    def __str__(self) -> str:
        dims = "".join(f"{d}x" if isinstance(d, int) else "?x" for d in self.shape)
        return f"tensor<{dims}{self.dtype}>"


def type_of(array: Array) -> TensorType:
    """Return the type of an array; raises KeyError for an element type that emu does not have."""
    return TensorType(NAMES[array.dtype], tuple(array.shape))
