"""Values that are no plain tensor: strings, sequences, optionals and maps, as the host holds them.

A tensor of strings is an array of Python strings, a sequence a list, a map a dict, and an empty
optional None. In memory each is one offset per element and what these point to.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from emu.ir.types import NAMES, Array, TensorType

TEXT_KINDS = "US"  # numpy's own strings, of fixed width


def canonical(value: Any) -> Any:
    """Return a value as emu keeps it: every number an array, every text a Python string."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return dict(cast(Mapping[Any, Any], value))
    if isinstance(value, list | tuple):
        return [canonical(part) for part in cast(Sequence[Any], value)]
    array = np.asarray(value)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    return array.astype(object) if array.dtype.kind in TEXT_KINDS else array


def value_type(value: Any) -> TensorType:
    """Return the type of a canonical value, with the bytes that its offsets point to.

    Raises KeyError for an element type that emu does not have.
    """
    if value is None:
        return TensorType("optional", ())
    if isinstance(value, dict):
        entries = cast(dict[Any, Any], value)
        return TensorType("map", (len(entries),), payload_bytes=_bytes_of(entries))
    if isinstance(value, list):
        parts = cast(list[Any], value)
        payload = sum(value_type(part).bytes for part in parts)
        return TensorType("sequence", (len(parts),), payload_bytes=payload)
    array = cast(Array, value)
    if array.dtype.kind == "O":
        payload = sum(len(text.encode()) for text in map(str, array.reshape(-1)))
        return TensorType("string", tuple(array.shape), payload_bytes=payload)
    return TensorType(NAMES[array.dtype], tuple(array.shape))


def _bytes_of(entries: Mapping[Any, Any]) -> int:
    both = (part for entry in entries.items() for part in entry)
    return sum(value_type(canonical(part)).bytes for part in both)
