"""Compiled loops: numba held as untyped in one place, as onnxruntime is."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile on first call for the host, keep the result on disk, let other threads run beside.

    Sums keep their order: only a multiply and an add may become one rounding. numba keeps its files
    in ``__pycache__`` beside the source, or in the user's cache folder where that is read-only.
    """
    untyped: Any = numba
    return untyped.njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")(
        function
    )
