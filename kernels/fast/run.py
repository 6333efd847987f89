"""One node at a time: a fast implementation where one covers the case, else the op table."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from emu.ir.body import FrozenAttrs
from emu.ir.graph import Attrs
from emu.ir.ops import find_op
from emu.ir.ops.table import result_dtype, widened
from emu.ir.types import Array, narrowed
from emu.kernels.fast.conv import conv, conv_transpose
from emu.kernels.fast.elementwise import ELEMENTWISE
from emu.kernels.fast.inputs import Fast, Inputs, present
from emu.kernels.fast.integer import conv_integer, matmul_integer
from emu.kernels.fast.matmul import gemm, matmul
from emu.kernels.fast.normalise import NORMALISE
from emu.kernels.fast.pool import global_average_pool, max_pool

FAST: dict[str, Fast] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "GlobalAveragePool": global_average_pool,
    "MatMul": matmul,
    "Gemm": gemm,
}
INTEGER: dict[str, Fast] = {"ConvInteger": conv_integer, "MatMulInteger": matmul_integer}
WRITERS = ELEMENTWISE | NORMALISE


def fast_op(op: str, attrs: FrozenAttrs, ins: Inputs, outs: int = 1) -> tuple[Array, ...]:
    """Return the ``outs`` results of one node; absent optional inputs are None.

    Inputs are never written, and infinities and NaN are values, not warnings. Raises UnsupportedOp
    for an op without an entry in the op table.
    """
    named = dict(attrs)
    found = computed(op, named, ins) if outs == 1 else None
    return (found,) if found is not None else meaning(op, named, ins)


def computed(op: str, attrs: Attrs, ins: Inputs, spares: Sequence[Array] = ()) -> Array | None:
    """Return the first output, in one of ``spares`` if that is possible.

    None where no fast implementation covers the case. The result shares no memory but its spare's.
    Narrow real numbers are computed in f32 and rounded, as the op table says.
    """
    if op in INTEGER:
        return INTEGER[op](tuple(a for a in ins if a is not None), attrs)
    if op not in WRITERS and op not in FAST:
        return None
    if (dtype := result_dtype(ins, attrs)) is not None:
        wide = {name: value for name, value in attrs.items() if name != "out_dtype"}
        found = _in_f32(op, wide, [widened(a) for a in ins], spares)
        return None if found is None else narrowed(found, dtype)
    return _in_f32(op, attrs, ins, spares)


def _in_f32(op: str, attrs: Attrs, ins: Inputs, spares: Sequence[Array]) -> Array | None:
    given = present(ins)
    if given is None:
        return None
    with np.errstate(all="ignore"):
        if op in WRITERS:
            return WRITERS[op].run(given, attrs, spares)
        return FAST[op](given, attrs)


def meaning(op: str, attrs: Attrs, ins: Inputs) -> tuple[Array, ...]:
    """Return what the op table says; a result may be a view of an input."""
    entry = find_op(op, "fast executor")
    with np.errstate(all="ignore"):
        found = entry.run(*ins, **attrs)
    results = cast(tuple[Any, ...], found) if isinstance(found, tuple) else (found,)
    return tuple(np.asarray(a) for a in results)
