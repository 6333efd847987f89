"""An ONNX model while a builder writes it: nodes, inputs, constants, weights without contents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from emu.ir.graph import Attr, Constant
from emu.ir.types import NUMPY, Array, TensorType
from emu.models.model import Model
from emu.models.tensors import ELEM_TYPES, shared, stub

if TYPE_CHECKING:
    import onnx

OPSET = 17
IR_VERSION = 8  # the first that belongs to opset 17


@dataclass(frozen=True, slots=True)
class Fill:
    """Contents of a weight: uniform numbers of this mean and standard deviation."""

    mean: float
    std: float


def fan_in(inputs: int, gain: float = 1.0) -> Fill:
    """Return the fill that keeps the variance of a sum of ``inputs`` products, times ``gain``.

    Gain 1 is Xavier's rule; 2 is He's, for inputs that went through a Relu.
    """
    return Fill(0.0, (gain / inputs) ** 0.5)


class Draft:
    """Collects the parts of one model; every method returns the name of a value."""

    def __init__(self, name: str) -> None:
        """Start an empty model."""
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.weights: dict[str, Constant] = {}

    def input(self, name: str, shape: tuple[int, ...], dtype: str = "f32") -> str:
        """Add an input of the model."""
        from onnx import helper

        self.inputs.append(helper.make_tensor_value_info(name, ELEM_TYPES[dtype], shape))
        return name

    def node(self, op: str, name: str, *inputs: str, **attrs: Attr) -> str:
        """Add a node with one output of the same name."""
        return self.split(op, name, (name,), *inputs, **attrs)[0]

    def split(
        self, op: str, name: str, outputs: tuple[str, ...], *inputs: str, **attrs: Attr
    ) -> tuple[str, ...]:
        """Add a node with several outputs."""
        from onnx import helper

        node = helper.make_node(op, inputs, outputs, name)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attrs.items())
        self.nodes.append(node)
        return outputs

    def constant(self, name: str, value: Array) -> str:
        """Add a structural constant that is part of the model text."""
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def number(self, name: str, value: float) -> str:
        """Add an f32 scalar."""
        return self.constant(name, np.array(value, np.float32))

    def ints(self, name: str, *values: int) -> str:
        """Add a list of i64."""
        return self.constant(name, np.array(values, np.int64))

    def weight(self, name: str, shape: tuple[int, ...], fill: Fill) -> str:
        """Add an f32 weight, whose contents are made when somebody loads it."""
        type = TensorType("f32", shape)
        key = f"zoo:{self.name}:{name}:{type}:{fill.mean}:{fill.std}"
        self.weights[name] = Constant(type, key, shared(seeded(key, type, fill)))
        self.initializers.append(stub(name, type))
        return name

    def finish(self, outputs: Mapping[str, tuple[int, ...]]) -> Model:
        """Return the model with its f32 ``outputs``, given with their shapes."""
        from onnx import helper

        made = [helper.make_tensor_value_info(n, ELEM_TYPES["f32"], s) for n, s in outputs.items()]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, made, self.initializers)
        opset = [helper.make_opsetid("", OPSET)]
        proto = helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="emu"
        )
        return Model(self.name, proto, self.weights, "zoo")


def seeded(key: str, type: TensorType, fill: Fill) -> Callable[[], Array]:
    """Return what makes the contents of a weight; they depend on ``key`` and on nothing else."""

    def make() -> Array:
        if fill.std == 0:
            return np.full(type.dims, fill.mean, NUMPY[type.dtype])
        seed = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
        array = np.random.Generator(np.random.SFC64(seed)).random(prod(type.dims), np.float32)
        # Uniform on [-h, h) has the standard deviation h / sqrt(3).
        half = fill.std * 3**0.5
        array *= np.float32(2 * half)
        array += np.float32(fill.mean - half)
        return array.reshape(type.dims)

    return make
