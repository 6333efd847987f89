"""Writes the function that an op of another vendor is: nodes of ONNX, made for one call."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.types import NUMPY, Array
from emu.models.rules.heeded import ReadAttrs
from emu.models.rules.site import Site

if TYPE_CHECKING:
    import onnx

OPSET = 24  # of ONNX, whose ops the functions are made of


class Body:
    """The nodes that stand for one call, as they are written; each value has a name of its own."""

    def __init__(self, site: Site) -> None:
        """Start empty; ``inputs`` are the names inside of what the call reads, "" if absent."""
        self.site = site
        self.inputs = tuple(f"in{i}" if name else "" for i, name in enumerate(site.inputs))
        self.nodes: list[onnx.NodeProto] = []

    def __call__(self, op: str, *inputs: str, **attrs: Any) -> str:
        """Write a node with one output, and return its name."""
        return self.several(1, op, *inputs, **attrs)[0]

    def several(self, count: int, op: str, *inputs: str, **attrs: Any) -> tuple[str, ...]:
        """Write a node with ``count`` outputs, and return their names."""
        from onnx.helper import make_node

        names = tuple(f"v{len(self.nodes)}_{i}" for i in range(count))
        self.nodes.append(make_node(op, inputs, names, **attrs))
        return names

    def input(self, index: int) -> str:
        """The name inside of input ``index``, "" if it is absent."""
        return self.inputs[index] if self.site.has(index) else ""

    def need(self, index: int) -> str:
        """The name inside of input ``index``; raises ModelError if it is absent."""
        self.site.type(index)
        return self.inputs[index]

    def dims(self, index: int, *ranks: int) -> tuple[int, ...]:
        """The dimensions of input ``index``; raises ModelError where there are not so many."""
        type = self.site.type(index)
        if len(type.shape) not in ranks:
            wanted = " or ".join(map(str, ranks))
            raise ModelError(
                f"{self.site.where}: input {index} has {wanted} dimensions, not {type}"
            )
        return type.dims

    def given(self, array: Array) -> str:
        """Write a constant, and return its name."""
        from onnx.numpy_helper import from_array

        return self("Constant", value=from_array(array))

    def ints(self, *values: int) -> str:
        """Write a list of integers, as shapes and axes are."""
        return self.given(np.array(values, np.int64))

    def number(self, value: float, like: int = 0) -> str:
        """Write a number in the element type of input ``like``."""
        return self.given(np.array(value, NUMPY[self.site.type(like).dtype]))

    def reshape(self, x: str, *dims: int) -> str:
        """Write a Reshape."""
        return self("Reshape", x, self.ints(*dims))

    def plus(self, x: str, index: int) -> str:
        """``x`` plus input ``index``, or as it is where that is absent."""
        return self("Add", x, self.input(index)) if self.site.has(index) else x


Declaration: TypeAlias = Callable[[Body], "str | tuple[str, ...]"]  # the outputs; "" is not made


def function_of(site: Site, declared: Declaration) -> "onnx.FunctionProto":
    """Return the function that a call is.

    Raises UnsupportedOp for an attribute that the declaration does not read, and for an output
    that it does not make and somebody reads.
    """
    from onnx.helper import make_function, make_opsetid

    attrs = ReadAttrs(site.attrs)
    body = Body(replace(site, attrs=attrs))
    answer = declared(body)
    made = (answer,) if isinstance(answer, str) else answer
    if unread := sorted(site.attrs.keys() - attrs.read):
        raise site.refuse(f"attribute '{unread[0]}' is not supported")
    outputs: list[str] = []
    for i, value in enumerate(site.outputs):
        name = made[i] if i < len(made) else ""
        if not name and value in site.used:
            raise site.refuse(f"the output '{value}' is not supported")
        outputs.append(name or f"absent{i}")
    inputs = [name or f"absent_in{i}" for i, name in enumerate(body.inputs)]
    opsets = [make_opsetid("", OPSET)]
    return make_function("com.microsoft", site.op, inputs, outputs, body.nodes, opsets)
