"""The inputs of a model, and numbers for their symbolic dimensions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from emu.ir.errors import (
    BadOption,
    BadValues,
    ModelError,
    UnboundDimension,
    UnknownName,
    Unsupported,
)
from emu.ir.types import Array, Dim, TensorType
from emu.models.model import Model
from emu.models.tensors import dtype_of

if TYPE_CHECKING:
    import onnx


def input_types(model: Model) -> dict[str, TensorType]:
    """Return the declared types of the inputs, symbols included; initializers are no inputs.

    A dimension without a name gets one from its place: ``x_0`` is the first of input ``x``.
    """
    graph = model.proto.graph
    known = {tensor.name for tensor in graph.initializer}
    found: dict[str, TensorType] = {}
    for value in graph.input:
        if value.name in found or value.name == "":
            raise ModelError(f"{model.origin}: input '{value.name}' is defined twice or unnamed")
        if value.name not in known:
            found[value.name] = declared_type(value, model.origin)
    return found


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


def bind_inputs(model: Model, dims: Mapping[str, int]) -> dict[str, TensorType]:
    """Return the input types with every symbol replaced by its number of ``dims``.

    Raises UnboundDimension for a symbol without a number, UnknownName for a name that no input
    has, BadOption for a number below 1.
    """
    declared = input_types(model)
    symbols = {d for type in declared.values() for d in type.shape if isinstance(d, str)}
    for name, number in dims.items():
        if name not in symbols:
            raise UnknownName(f"dimension of {model.name}", name, symbols)
        if number < 1:
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
    return TensorType(type.dtype, tuple(dims[d] if isinstance(d, str) else d for d in type.shape))


def dims_of(declared: Mapping[str, TensorType], arrays: Mapping[str, Array]) -> dict[str, int]:
    """Return the numbers that the shapes of ``arrays`` give to the symbols of declared types.

    Raises BadValues for an input that is missing, has another rank, or contradicts another.
    """
    found: dict[str, int] = {}
    for name, type in declared.items():
        if name not in arrays or arrays[name].ndim != len(type.shape):
            given = "nothing" if name not in arrays else f"the shape {arrays[name].shape}"
            raise BadValues(f"input '{name}' must have the shape {_shape(type)}, not {given}")
        for symbol, number in zip(type.shape, arrays[name].shape, strict=True):
            if isinstance(symbol, str) and found.setdefault(symbol, number) != number:
                raise BadValues(f"input '{name}': '{symbol}' is {found[symbol]} and {number}")
    return found
