"""Ops that one call of numpy computes straight into the place of the result, with its bits."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.inputs import Inputs, integer
from emu.kernels.fast.writer import Call

# The meanings of the op table, which says what they are of each element type.
UFUNCS: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Max": np.maximum,
    "Min": np.minimum,
    "Equal": np.equal,
    "Less": np.less,
    "Greater": np.greater,
    "LessOrEqual": np.less_equal,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Not": np.logical_not,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sign": np.sign,
    "IsNaN": np.isnan,
    "Sin": np.sin,
    "Cos": np.cos,
}
WIDE = frozenset(map(np.dtype, ("bool", "int32", "int64", "uint32", "uint64", "f4", "f8")))


def straight(op: str, attrs: Attrs, ins: Inputs, out: Array) -> tuple[Call, ...] | None:
    """The steps that compute into ``out``; None of an op, or element types, that have none."""
    given = [a for a in ins if a is not None]
    if len(given) < len(ins) or not {a.dtype for a in (*given, out)} <= WIDE:
        return None
    if op in UFUNCS and not attrs:
        return (partial(UFUNCS[op], *given, out=out),)
    if op == "Where":
        condition, a, b = given
        return partial(np.copyto, out, b), partial(np.copyto, out, a, where=condition)
    if op == "Cast" and given[0].dtype.kind in "biu":
        return (partial(np.copyto, out, given[0], casting="unsafe"),)
    if op == "CumSum" and not (integer(attrs, "exclusive", 0) or integer(attrs, "reverse", 0)):
        return (partial(np.cumsum, given[0], integer(attrs, "axis", 0), out=out),)
    return None
