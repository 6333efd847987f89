"""Constants worked out of other constants: lazily, and inline where the old ones are."""

from collections.abc import Callable, Sequence

import numpy as np

from emu.ir.graph import Constant
from emu.ir.passes.rewriting import derived_key
from emu.ir.types import NUMPY, Array, TensorType


def derived(
    what: str, parts: Sequence[Constant], shape: tuple[int, ...], make: Callable[..., Array]
) -> Constant:
    """Return the constant ``make(*arrays of parts)`` of ``shape``, in the dtype of the first part.

    ``what`` must name everything that ``make`` depends on besides ``parts``.
    """
    type = TensorType(parts[0].type.dtype, shape)
    known = [part.inline for part in parts]
    inline = None if any(array is None for array in known) else _made(type, make, known)
    key = derived_key(what, [part.key for part in parts])
    return Constant(type, key, lambda: _made(type, make, [p.load() for p in parts]), inline)


def number(dtype: str, value: float) -> Constant:
    """Return a scalar constant."""
    array = np.array(value, NUMPY[dtype])
    return Constant(TensorType(dtype, ()), f"spelled:{dtype}:{value!r}", lambda: array, array)


def _made(type: TensorType, make: Callable[..., Array], arrays: Sequence[Array | None]) -> Array:
    return np.ascontiguousarray(make(*arrays).astype(NUMPY[type.dtype])).reshape(type.dims)
