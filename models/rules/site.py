"""What a rule sees of one ONNX node, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from emu.ir.errors import ModelError, NotConstant, UnsupportedOp
from emu.ir.graph import Attr, Attrs, Constant
from emu.ir.types import Array, TensorType

if TYPE_CHECKING:
    import onnx

# Contents of ONNX attributes; tensors stay protobuf until a rule wants them.
OnnxAttr: TypeAlias = (
    "int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | onnx.TensorProto"
)

# Attributes that are truths; runtimes read other numbers in different ways.
FLAGS = ("allowzero", "ceil_mode", "count_include_pad", "keepdims", "transA", "transB")


@dataclass(frozen=True)
class Call:
    """One op of the table that stands for (a part of) an ONNX node."""

    op: str
    inputs: tuple[str, ...]
    attrs: Attrs
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Given:
    """A constant that a rule needs and the model text does not have."""

    name: str
    constant: Constant


@dataclass(frozen=True)
class Site:
    """One ONNX node with the types and constants known before it."""

    id: str
    op: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, OnnxAttr]
    types: Mapping[str, TensorType]
    constants: Mapping[str, Constant]
    used: frozenset[str]  # every value that a node or the graph's outputs read
    source: str  # the model's own node that this one belongs to
    domain: str = "ai.onnx"

    @property
    def where(self) -> str:
        """How messages name this node."""
        return f"node '{self.id}' ({self.op}, domain '{self.domain}', opset {self.opset})"

    def refuse(self, why: str) -> UnsupportedOp:
        """Return the error that says which node cannot be read, and why."""
        return UnsupportedOp(f"{self.where}: {why}")

    def has(self, index: int) -> bool:
        """Whether input ``index`` is present."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def type(self, index: int = 0) -> TensorType:
        """The type of input ``index``; raises ModelError if it is absent."""
        if not self.has(index):
            raise ModelError(f"{self.where}: input {index} is missing")
        return self.types[self.inputs[index]]

    @property
    def rank(self) -> int:
        """Number of dimensions of the first input."""
        return len(self.type().shape)

    def array(self, index: int, what: str) -> Array:
        """Contents of a structural input; raises NotConstant if the model computes it."""
        self.type(index)
        constant = self.constants.get(self.inputs[index])
        if constant is None or constant.inline is None:
            raise NotConstant(self.where, what, self.inputs[index])
        return constant.inline

    def ints(self, index: int, what: str) -> tuple[int, ...]:
        """A structural input that is a list of integers."""
        return tuple(int(v) for v in self.array(index, what).reshape(-1))

    def scalar(self, index: int, what: str) -> float:
        """A structural input that is one number; of a float32 its shortest decimal form."""
        array = self.array(index, what)
        if array.size != 1:
            raise ModelError(f"{self.where}: {what} ('{self.inputs[index]}') is not one number")
        value = array.reshape(-1)[0]
        return float(str(value)) if array.dtype == np.float32 else float(value)

    def number(self, name: str, default: float) -> float:
        """A float attribute, in the shortest decimal form that is the same float32."""
        value = self.attrs.get(name, default)
        if not isinstance(value, int | float):
            raise ModelError(f"{self.where}: attribute '{name}' is not a number")
        return float(str(np.float32(value)))

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.attrs.get(name, default)
        if not isinstance(value, int):
            raise ModelError(f"{self.where}: attribute '{name}' is not an integer")
        if name in FLAGS and value not in (0, 1):
            raise ModelError(f"{self.where}: attribute '{name}' is 0 or 1, not {value}")
        return value

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        value = self.attrs.get(name, default)
        if not isinstance(value, str):
            raise ModelError(f"{self.where}: attribute '{name}' is not a string")
        return value

    def list(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        value = self.attrs.get(name, default)
        if not isinstance(value, tuple):
            raise ModelError(f"{self.where}: attribute '{name}' is not a list")
        if any(isinstance(v, float | str) for v in value):
            raise ModelError(f"{self.where}: attribute '{name}' is not a list of integers")
        return tuple(int(v) for v in value)

    def axis(self, value: int, rank: int | None = None) -> int:
        """``value`` as a dimension counted from the front; raises ModelError if there is none."""
        rank = self.rank if rank is None else rank
        if not -rank <= value < rank:
            raise ModelError(f"{self.where}: axis {value} is outside of rank {rank}")
        return value % rank

    def axes(self, values: tuple[int, ...], rank: int | None = None) -> tuple[int, ...]:
        """``values`` as dimensions counted from the front; raises ModelError if one repeats."""
        found = tuple(self.axis(value, rank) for value in values)
        if len(set(found)) != len(found):
            raise ModelError(f"{self.where}: axes {list(values)} name one dimension twice")
        return found

    def only_first_output(self) -> None:
        """Raise UnsupportedOp when somebody reads an output other than the first."""
        extra = next((o for o in self.outputs[1:] if o and o in self.used), None)
        if extra:
            raise self.refuse(f"the output '{extra}' is not supported")

    def call(self, op: str, inputs: tuple[str, ...] | None = None, /, **attrs: Attr) -> tuple[Call]:
        """The usual answer: one op on ``inputs`` (default all) whose first output is the node's."""
        self.only_first_output()
        return (Call(op, self.inputs if inputs is None else inputs, attrs, self.outputs[:1]),)


Calls: TypeAlias = tuple[Call | Given, ...]
Rule: TypeAlias = Callable[[Site], Calls | Constant]
