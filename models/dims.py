"""The inputs of a model, and numbers for their symbolic dimensions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emu.ir.errors import (
    BadOption,
    BadValues,
    DataDependent,
    ModelError,
    UnboundDimension,
    UnknownName,
    Unsupported,
)
from emu.ir.held import value_type
from emu.ir.types import HELD, Array, Dim, TensorType
from emu.models.model import Model
from emu.models.tensors import dtype_of

if TYPE_CHECKING:
    import onnx

TEXT = 8  # TensorProto.DataType


def input_types(model: Model, samples: Mapping[str, Any] | None = None) -> dict[str, TensorType]:
    """Return the declared types of the inputs, symbols included; initializers are no inputs.

    A dimension without a name gets one from its place: ``x_0`` is the first of input ``x``. Text,
    sequences, optionals and what has no rank have the types of their ``samples``; raises
    DataDependent if there are none.
    """
    return {name: _input_type(model, value, samples) for name, value in inputs_of(model).items()}


def inputs_of(model: Model) -> dict[str, "onnx.ValueInfoProto"]:
    """Return what the model declares of each input, in order; initializers are no inputs."""
    graph = model.proto.graph
    known = {tensor.name for tensor in graph.initializer}
    found: dict[str, onnx.ValueInfoProto] = {}
    for value in graph.input:
        if value.name in found or value.name == "":
            raise ModelError(f"{model.origin}: input '{value.name}' is defined twice or unnamed")
        if value.name not in known:
            found[value.name] = value
    return found


def _input_type(
    model: Model, value: "onnx.ValueInfoProto", samples: Mapping[str, Any] | None
) -> TensorType:
    tensor = value.type.tensor_type
    if tensor.HasField("shape") and tensor.elem_type != TEXT:
        return declared_type(value, model.origin)
    if samples is None or value.name not in samples:
        what = "text" if tensor.elem_type == TEXT else "no tensor with a rank"
        raise DataDependent(
            f"{model.origin}: input '{value.name}' is {what}; only its value"
            " says how large it is (--inputs F.npz)"
        )
    return value_type(samples[value.name])


def declared_type(value: "onnx.ValueInfoProto", origin: str) -> TensorType:
    """Return the type that the model declares for a value; raise ModelError if there is none."""
    where = f"{origin}: value '{value.name}'"
    if not value.type.HasField("tensor_type"):
        raise Unsupported(f"{where}: only tensors are supported")
    tensor = value.type.tensor_type
    dtype = dtype_of(tensor.elem_type, where)
    if not tensor.HasField("shape"):
        raise ModelError(f"{where}: has no shape")
    dims = enumerate(tensor.shape.dim)
    return TensorType(dtype, tuple(_dim(d, f"{value.name}_{i}", where) for i, d in dims))


def _dim(dim: "onnx.TensorShapeProto.Dimension", unnamed: str, where: str) -> Dim:
    if not dim.HasField("dim_value"):
        return dim.dim_param or unnamed
    if dim.dim_value < 0:
        raise ModelError(f"{where}: has the dimension {dim.dim_value}")
    return dim.dim_value


def bind_inputs(
    model: Model, dims: Mapping[str, int], samples: Mapping[str, Any] | None = None
) -> dict[str, TensorType]:
    """Return the input types with every symbol replaced by its number of ``dims``.

    Raises UnboundDimension for a symbol without a number, UnknownName for a name that no input
    has, BadOption for a number below 1, or below 0 where there are ``samples``.
    """
    declared = input_types(model, samples)
    symbols = {d for type in declared.values() for d in type.shape if isinstance(d, str)}
    for name, number in dims.items():
        if name not in symbols:
            raise UnknownName(f"dimension of {model.name}", name, symbols)
        if number < (1 if samples is None else 0):
            raise BadOption(f"dimension '{name}' must be at least 1, not {number}")
    _must_bind(model, declared, dims)
    return {name: _bound(type, dims) for name, type in declared.items()}


def _must_bind(model: Model, declared: Mapping[str, TensorType], dims: Mapping[str, int]) -> None:
    """Raise UnboundDimension that shows every input with a symbol, and the flags to give."""
    missing = {
        name: tuple(d for d in type.shape if isinstance(d, str) and d not in dims)
        for name, type in declared.items()
    }
    symbols = dict.fromkeys(symbol for found in missing.values() for symbol in found)
    if symbols:
        open_ones = [name for name, found in missing.items() if found]
        shown = ", ".join(f"'{name}' {_shape(declared[name])}" for name in open_ones)
        named, flags = (", ".join(f"'{s}'" for s in symbols), " ".join(f"{s}=N" for s in symbols))
        inputs = f"input {shown} has" if len(open_ones) == 1 else f"inputs {shown} have"
        raise UnboundDimension(
            f"{model.name}: {inputs} no number for dimension {named}; give --dim {flags}"
        )


def _shape(type: TensorType) -> str:
    return f"[{', '.join(map(str, type.shape))}]"


def _bound(type: TensorType, dims: Mapping[str, int]) -> TensorType:
    return replace(type, shape=tuple(dims[d] if isinstance(d, str) else d for d in type.shape))


def dims_of(declared: Mapping[str, TensorType], arrays: Mapping[str, Array]) -> dict[str, int]:
    """Return the numbers that the shapes of ``arrays`` give to the symbols of declared types.

    Raises BadValues for an input that is missing, has another rank, or contradicts another.
    """
    found: dict[str, int] = {}
    for name, type in declared.items():
        if type.dtype in HELD:
            continue
        if name not in arrays or arrays[name].ndim != len(type.shape):
            given = "nothing" if name not in arrays else f"the shape {arrays[name].shape}"
            raise BadValues(f"input '{name}' must have the shape {_shape(type)}, not {given}")
        for symbol, number in zip(type.shape, arrays[name].shape, strict=True):
            if isinstance(symbol, str) and found.setdefault(symbol, number) != number:
                raise BadValues(f"input '{name}': '{symbol}' is {found[symbol]} and {number}")
    return found
