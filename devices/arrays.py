"""Named models of a systolic array: how many cycles one matrix product holds it.

R rows x C columns, C[M,N] += A[M,K] B[K,N]. The ``scalesim-*`` forms are the cycles that SCALE-Sim
3.0.0 reports for the three dataflows, whose folds never overlap; ``onnxim-ws`` hides the preload of
a fold behind the stream of the one before, as ONNXim does. ``native`` is emu's own array, which
prices each statement by what it does and is not a formula over a whole product.
"""

from collections.abc import Callable
from typing import TypeAlias

from emu.ir.errors import UnknownName

Cycles: TypeAlias = Callable[[int, int, int, int, int], int]
NATIVE = "native"


def scalesim_ws(m: int, n: int, k: int, rows: int, columns: int) -> int:
    """Weights stay: every fold pays its preload, and streams M rows."""
    return _ceil(k, rows) * _ceil(n, columns) * (m + 2 * rows + columns - 2) - 1


def scalesim_is(m: int, n: int, k: int, rows: int, columns: int) -> int:
    """Inputs stay: every fold pays its preload, and streams N columns."""
    return _ceil(k, rows) * _ceil(m, columns) * (n + 2 * rows + columns - 2) - 1


def scalesim_os(m: int, n: int, k: int, rows: int, columns: int) -> int:
    """Outputs stay: every fold streams K products, then drains."""
    return _ceil(m, rows) * _ceil(n, columns) * (k + rows + columns - 2) - 1


def onnxim_ws(m: int, n: int, k: int, rows: int, columns: int) -> int:
    """Weights stay, double buffered: a fold takes the longer of its stream and the next preload."""
    folds = _ceil(k, rows) * _ceil(n, columns)
    fill = (2 * rows - 1) + (rows + columns - 2)
    return (folds - 1) * max(m, rows) + fill + max(m, 4)


FORMULAS: dict[str, Cycles] = {
    "scalesim-ws": scalesim_ws,
    "scalesim-is": scalesim_is,
    "scalesim-os": scalesim_os,
    "onnxim-ws": onnxim_ws,
}
ARRAY_MODELS = (*FORMULAS, NATIVE)


def check_array_model(name: str) -> str:
    """Return the name; raise UnknownName if no array model has it."""
    if name not in ARRAY_MODELS:
        raise UnknownName("array model", name, ARRAY_MODELS)
    return name


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
