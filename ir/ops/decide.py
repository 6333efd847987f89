"""What the host decides by: it reads a value, and the program after it is one for what it was."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError, OtherTypes
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import take
from emu.ir.ops.onnx_node import ONNX_NODE
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result
from emu.ir.ops.work_rules import movement
from emu.ir.types import Array

DECIDE = "Decide"
# Ops that no device computes, each with the reason.
HOST_ONLY: Mapping[str, str] = MappingProxyType(
    {
        ONNX_NODE: "only the host computes it, by onnx.reference",
        DECIDE: "the host reads it and decides what comes next",
    }
)


def numbers_of(x: Array) -> tuple[int | float, ...]:
    """Return the elements of a value in order, a truth as 0 or 1."""
    counted = x.astype(np.int8) if x.dtype == np.bool_ else x
    return tuple(counted.reshape(-1).tolist())


def unchanged(types: Types, attrs: Attrs) -> Result:
    """The type of the value; raises ModelError unless ``was`` has a number for each element."""
    (x,) = take(types, 1)
    was = attrs.get("was")
    if not isinstance(was, tuple) or len(was) != x.elements:
        raise ModelError(f"attribute 'was' must have {x.elements} numbers, not {was!r}")
    return (x,)


@op(DECIDE, Fusion.OPAQUE, unchanged, movement)
def decide(x: Array, was: tuple[int | float, ...], occurred: int = 1) -> Array:
    """x, which decides about branches, trips and shapes; raises OtherTypes unless it is ``was``.

    ``occurred`` says that this holds for some inputs of the model and not for others.
    """
    del occurred
    found = numbers_of(x)
    if not np.array_equal(found, was, equal_nan=True):
        raise OtherTypes(f"the host decides by {found} where the program was made for {was}")
    return x
