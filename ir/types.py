"""Element types and tensor types."""

from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, cast

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from emu.ir.layout import ROW_MAJOR, granule, padded

Array: TypeAlias = NDArray[Any]
Dim: TypeAlias = int | str

# The names are MLIR's, since every level prints as MLIR; numpy or ml_dtypes has the same types.
NUMPY = {
    "f64": np.dtype(np.float64),
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f8E4M3FN": np.dtype(ml_dtypes.float8_e4m3fn),
    "i64": np.dtype(np.int64),
    "i32": np.dtype(np.int32),
    "i16": np.dtype(np.int16),
    "i8": np.dtype(np.int8),
    "ui8": np.dtype(np.uint8),
    "i1": np.dtype(np.bool_),
    "ui16": np.dtype(np.uint16),
    "ui32": np.dtype(np.uint32),
    "ui64": np.dtype(np.uint64),
    "f8E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "f8E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "f8E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "f8E8M0FNU": np.dtype(ml_dtypes.float8_e8m0fnu),
    "f4E2M1FN": np.dtype(ml_dtypes.float4_e2m1fn),
    "f6E2M3FN": np.dtype(ml_dtypes.float6_e2m3fn),
    "f6E3M2FN": np.dtype(ml_dtypes.float6_e3m2fn),
    "i4": np.dtype(ml_dtypes.int4),
    "ui4": np.dtype(ml_dtypes.uint4),
    "i2": np.dtype(ml_dtypes.int2),
    "ui2": np.dtype(ml_dtypes.uint2),
    "complex<f32>": np.dtype(np.complex64),
    "complex<f64>": np.dtype(np.complex128),
}
# Element types that emu's own ops compute with; the others are known to the host only.
COMPUTED = (
    *("f64", "f32", "f16", "bf16", "f8E4M3FN", "i1"),
    *("i64", "i32", "i16", "i8", "ui64", "ui32", "ui16", "ui8"),
)
# What is no number: one offset an element, and what these point to (UTF-8, other values).
LISTED = ("sequence", "optional", "map")
HELD = ("string", *LISTED)
OFFSET_BYTES = 8
NAMES = {dtype: name for name, dtype in NUMPY.items()}
REALS = ("f64", "f32", "f16", "bf16", "f8E4M3FN")
# Real numbers that are kept in few bits: units compute with them in f32 and round the result.
NARROW = ("f16", "bf16", "f8E4M3FN")
NARROW_DTYPES = frozenset(NUMPY[name] for name in NARROW)
# The largest finite number of each.
LARGEST = {"f16": 65504.0, "bf16": 3.3895313892515355e38, "f8E4M3FN": 448.0}


def summing_dtype(dtype: str) -> str:
    """Return the element type in which units compute with ``dtype`` and keep sums of it."""
    return "f32" if dtype in NARROW else dtype


def is_narrow(array: Array) -> bool:
    """Whether an array holds real numbers in fewer bits than they are computed in."""
    return array.dtype in NARROW_DTYPES


def narrowed(array: Array, dtype: str) -> Array:
    """Return ``array`` rounded to ``dtype``, to the nearest and halves to even.

    f8E4M3FN has no infinity; what is too large for it becomes its largest number, 448, as units
    with saturation do (ONNX, operator Cast, ``saturate``).
    """
    wanted = NUMPY[dtype]
    if array.dtype == wanted:
        return array
    if dtype == "f8E4M3FN":
        array = np.clip(array, -LARGEST[dtype], LARGEST[dtype])
    with np.errstate(all="ignore"):
        return array.astype(wanted)


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape of one value; a dimension is a number or, until bound, a symbol.

    ``layout`` is a name of ``layout.STORED``: how the elements lie in memory. ``payload_bytes`` is
    what the offsets of strings, sequences, optionals and maps point to.
    """

    dtype: str
    shape: tuple[Dim, ...]
    layout: str = ROW_MAJOR
    payload_bytes: int = 0

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as numbers; raises ValueError while a dimension is still a symbol."""
        if str in map(type, self.shape):
            raise ValueError(f"{self}: not every dimension is bound")
        return cast(tuple[int, ...], self.shape)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.dims)

    @property
    def itemsize(self) -> int:
        """Bytes of one element; of what is no number those of its offset."""
        return OFFSET_BYTES if self.dtype in HELD else NUMPY[self.dtype].itemsize

    @property
    def granule(self) -> tuple[int, ...]:
        """For each dimension, how many neighbouring elements are stored and moved together."""
        return granule(self.layout, len(self.shape))

    @property
    def bytes(self) -> int:
        """Size in memory, whole granules, in bytes."""
        if self.layout == ROW_MAJOR:
            return self.elements * self.itemsize + self.payload_bytes
        return self.itemsize * prod(map(padded, self.dims, self.granule))

    def __str__(self) -> str:
        dims = "".join(f"{d}x" if isinstance(d, int) else "?x" for d in self.shape)
        encoding = "" if self.layout == ROW_MAJOR else f', "{self.layout}"'
        element = f"!emu.{self.dtype}" if self.dtype in HELD else self.dtype
        return f"tensor<{dims}{element}{encoding}>"


def type_of(array: Array) -> TensorType:
    """Return the type of an array; raises KeyError for an element type that emu does not have."""
    return TensorType(NAMES[array.dtype], tuple(array.shape))
