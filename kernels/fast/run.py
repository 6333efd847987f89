"""One node at a time: a fast implementation where one covers the case, else the op table."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np

from emu.ir.body import FrozenAttrs
from emu.ir.graph import Attrs
from emu.ir.held import canonical
from emu.ir.ops import find_op
from emu.ir.ops.table import result_dtype, widened
from emu.ir.types import Array, narrowed, type_of
from emu.kernels.fast.conv import CONVOLUTIONS
from emu.kernels.fast.elementwise import ELEMENTWISE
from emu.kernels.fast.inputs import Inputs, present
from emu.kernels.fast.integer import INTEGER
from emu.kernels.fast.lying import laid, wanted
from emu.kernels.fast.matmul import PRODUCTS
from emu.kernels.fast.memory import aligned, bytes_of, contents
from emu.kernels.fast.normalise import NORMALISE
from emu.kernels.fast.pool import POOLS
from emu.kernels.fast.transposed import TRANSPOSED
from emu.kernels.fast.writer import Call, Writer

WRITERS: dict[str, Writer] = ELEMENTWISE | NORMALISE | PRODUCTS | CONVOLUTIONS | TRANSPOSED | POOLS
Results = tuple[Array, ...]


def fast_op(op: str, attrs: FrozenAttrs, ins: Inputs, outs: int = 1) -> Results:
    """Return the ``outs`` results of one node; absent optional inputs are None.

    Inputs are never written, and infinities and NaN are values, not warnings. Raises UnsupportedOp
    for an op without an entry in the op table.
    """
    with np.errstate(all="ignore"):
        return results(op, dict(attrs), ins, outs)


def is_covered(op: str, attrs: Attrs, ins: Inputs) -> bool:
    """Whether there is a fast implementation of an op for these inputs, all of them f32."""
    writer, given = WRITERS.get(op), present(ins)
    if writer is None or given is None or "out_dtype" in attrs:
        return False
    return writer.covers(given, attrs)


def bound(op: str, attrs: Attrs, ins: Inputs, out: Array) -> Call:
    """Return the step that computes an op that is covered into ``out``."""
    return WRITERS[op].bind(present(ins) or (), attrs, out)


def results(op: str, attrs: Attrs, ins: Inputs, outs: int) -> Results:
    """Return what ``fast_op`` does, where warnings are off already.

    Narrow real numbers are computed in f32 and rounded, as the op table says.
    """
    if outs > 1:
        return meaning(op, attrs, ins)
    if op in INTEGER:
        exact = INTEGER[op](tuple(a for a in ins if a is not None), attrs)
        return meaning(op, attrs, ins) if exact is None else (exact,)
    dtype = result_dtype(ins, attrs)
    wide = {name: value for name, value in attrs.items() if name != "out_dtype"}
    found = _in_f32(op, wide, [widened(a) for a in ins])
    if found is None:
        return meaning(op, attrs, ins)
    return (found if dtype is None else narrowed(found, dtype),)


def ready(op: str, attrs: Attrs, ins: Inputs, outs: int) -> Callable[[], Results]:
    """What computes the results that ``results`` returns, with the way chosen before it runs."""
    if op in INTEGER or result_dtype(ins, attrs) is not None:
        return partial(results, op, attrs, ins, outs)
    run = find_op(op, "fast executor").run
    return partial(_canonical, partial(run, **attrs), ins)


def _in_f32(op: str, attrs: Attrs, ins: Inputs) -> Array | None:
    if not is_covered(op, attrs, ins):
        return None
    types = [None if a is None else type_of(a) for a in ins]
    type = find_op(op, "fast executor").infer(types, attrs)[0]
    out = laid(aligned(bytes_of(type)), type, wanted(op, ins, type))
    bound(op, attrs, ins, out)()
    return out


def meaning(op: str, attrs: Attrs, ins: Inputs) -> Results:
    """Return what the op table says; a result may be a view of an input."""
    return _canonical(partial(find_op(op, "fast executor").run, **attrs), ins)


def _canonical(run: Callable[..., Any], ins: Inputs) -> Results:
    found = run(*map(contents, ins))
    several = cast(tuple[Any, ...], found) if isinstance(found, tuple) else (found,)
    return tuple(canonical(a) for a in several)
