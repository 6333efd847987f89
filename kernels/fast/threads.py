"""Several threads: large steps split into parts that run at the same time, with the same bits.

BLAS itself always takes one thread, as its sums could be ordered otherwise with more.
"""

import ctypes
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from emu.kernels.fast.writer import Call, Held

LEAST_WORK = 2**16  # elements, step by step, that take longer than to wake a thread
Control: TypeAlias = tuple[Callable[[], int], Callable[[int], object]]


@dataclass(frozen=True)
class Threads:
    """``count`` threads, the caller's own among them."""

    count: int
    pool: ThreadPoolExecutor

    def spread(self, calls: Sequence[Call]) -> tuple[Call, ...]:
        """The steps, with each that is large enough split between the threads."""
        return tuple(self._split(call) for call in calls)

    def _split(self, call: Call) -> Call:
        if not isinstance(call, Held) or call.split is None or call.work < LEAST_WORK:
            return call
        parts = call.split(min(self.count, call.work // (LEAST_WORK // 2)))
        return partial(self._together, parts) if len(parts) > 1 else call

    def _together(self, calls: Sequence[Call]) -> None:
        mine, *others = calls
        waiting = [self.pool.submit(call) for call in others]
        try:
            mine()
        finally:
            for done in waiting:
                done.result()


def threads_of(count: int) -> Threads:
    """Return so many threads, at least two; they end when nobody holds them."""
    quiet = partial(np.seterr, all="ignore")
    return Threads(count, ThreadPoolExecutor(count - 1, "values", initializer=quiet))


@contextmanager
def one_blas_thread() -> Generator[None, None, None]:
    """Let numpy's BLAS take one thread, if it is an OpenBLAS; others have their own settings."""
    control = _openblas()
    before = control[0]() if control else 1
    if control is None or before == 1:
        yield
        return
    control[1](1)
    try:
        yield
    finally:
        control[1](before)


@cache
def _openblas() -> Control | None:
    """How many threads it takes, and how to change that; None if numpy has another BLAS."""
    library: Any = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    for before in ("scipy_openblas", "openblas"):
        for behind in ("64_", ""):
            name = f"{before}_{{}}_num_threads{behind}"
            if hasattr(library, name.format("set")):
                return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None
