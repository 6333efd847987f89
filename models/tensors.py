"""ONNX tensors as constants of the graph: element types, inline contents, stubs for weights."""

from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np

from emu.ir.errors import ModelError, Unsupported
from emu.ir.graph import Constant
from emu.ir.held import canonical, value_type
from emu.ir.types import HELD, NUMPY, REALS, Array, TensorType

if TYPE_CHECKING:
    import onnx

# TensorProto.DataType as numbers, so that nothing here has to import onnx.
DTYPES = {
    1: "f32",
    2: "ui8",
    3: "i8",
    4: "ui16",
    5: "i16",
    6: "i32",
    7: "i64",
    8: "string",
    9: "i1",
    10: "f16",
    11: "f64",
    12: "ui32",
    13: "ui64",
    14: "complex<f32>",
    15: "complex<f64>",
    16: "bf16",
    17: "f8E4M3FN",
    18: "f8E4M3FNUZ",
    19: "f8E5M2",
    20: "f8E5M2FNUZ",
    21: "ui4",
    22: "i4",
    23: "f4E2M1FN",
    24: "f8E8M0FNU",
    25: "ui2",
    26: "i2",
    27: "f6E2M3FN",
    28: "f6E3M2FN",
}
ELEM_TYPES = {dtype: number for number, dtype in DTYPES.items()}
# Files store several of these in a byte, or each with a length of its own; arrays do not.
STORED_OTHERWISE = ("i4", "ui4", "i2", "ui2", "f4E2M1FN", "f6E2M3FN", "f6E3M2FN", "string")

EXTERNAL = 1  # TensorProto.DataLocation

# Scalars and tiny scales are part of the model text; longer float tensors are weights.
INLINE_FLOATS = 16
# Integers and booleans are shapes, axes, indices and masks; only huge tables count as weights. Of
# eight bits are zero points, which are lists at most, and quantised weights.
INLINE_BYTES = 1 << 20


def dtype_of(elem_type: int, where: str) -> str:
    """Return the MLIR name of an ONNX element type; raise Unsupported that says ``where``."""
    if elem_type not in DTYPES:
        raise Unsupported(f"{where}: ONNX element type {elem_type} is not supported")
    return DTYPES[elem_type]


def dtype_named(name: str, where: str) -> str:
    """Return the MLIR name of an element type by ONNX's name; raise Unsupported otherwise."""
    from onnx import TensorProto

    if name not in TensorProto.DataType.keys():
        raise Unsupported(f"{where}: '{name}' is no element type of ONNX")
    return dtype_of(TensorProto.DataType.Value(name), where)


def type_proto(type: TensorType | None) -> "onnx.TypeProto":
    """Return a type as ONNX writes it, of no kind for None; what a list is one of stays unsaid."""
    from onnx import TypeProto, helper

    made = TypeProto()
    if type is None:
        return made
    if type.dtype in ELEM_TYPES:
        return helper.make_tensor_type_proto(ELEM_TYPES[type.dtype], type.dims)
    if type.dtype == "sequence":
        made.sequence_type.elem_type.SetInParent()
    elif type.dtype == "optional":
        made.optional_type.elem_type.SetInParent()
    else:
        made.map_type.SetInParent()
    return made


def is_structural(type: TensorType) -> bool:
    """Whether a constant of this type belongs to the model text rather than to its weights."""
    if type.dtype in HELD:
        return True
    if type.dtype in REALS:
        return type.elements <= INLINE_FLOATS
    if type.dtype in ("i8", "ui8"):
        return len(type.shape) < 2
    return type.bytes <= INLINE_BYTES


def stub_type(tensor: "onnx.TensorProto", where: str) -> TensorType:
    """Return the type that a tensor declares; raise ModelError for an impossible shape."""
    shape = tuple(tensor.dims)
    if any(dim < 0 for dim in shape):
        raise ModelError(f"{where}: tensor '{tensor.name}' has the shape {list(shape)}")
    return TensorType(dtype_of(tensor.data_type, f"{where}: tensor '{tensor.name}'"), shape)


def array_of(tensor: "onnx.TensorProto", where: str) -> Array:
    """Return the contents that a tensor carries; raise ModelError when they do not fit its type."""
    from onnx import numpy_helper

    type = stub_type(tensor, where)
    try:
        return array_as(numpy_helper.to_array(tensor), type.dtype)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{where}: tensor '{tensor.name}' has bad contents: {error}") from error


def array_as(array: Array, dtype: str) -> Array:
    """Return a copy of contents in an element type; text becomes Python strings."""
    return canonical(array) if dtype in HELD else np.array(array, NUMPY[dtype])


def inline(array: Array) -> Constant:
    """Return a constant that carries its contents; equal contents have equal keys."""
    type = value_type(array)
    is_text = type.dtype in HELD
    raw = repr(array.tolist()).encode() if is_text else np.ascontiguousarray(array).tobytes()
    digest = blake2b(raw, digest_size=12).hexdigest()
    return Constant(type, f"inline:{type}:{digest}", lambda: array, array)


def filled(type: TensorType, value: Array) -> Constant:
    """Return one value, repeated to a shape; a large one is made only when it is loaded."""
    dtype = NUMPY[type.dtype]
    if is_structural(type):
        return inline(np.full(type.dims, value, dtype))
    return Constant(type, f"fill:{type}:{value!r}", lambda: np.full(type.dims, value, dtype))


def stub(name: str, type: TensorType) -> "onnx.TensorProto":
    """Return an initializer without data, as ``Model.proto`` has for every weight."""
    from onnx import TensorProto

    tensor = TensorProto(name=name, dims=type.dims, data_type=ELEM_TYPES[type.dtype])
    mark_external(tensor, "weights", 0, type.bytes)
    return tensor


def mark_external(tensor: "onnx.TensorProto", location: str, offset: int, length: int) -> None:
    """Make a tensor say that its ``length`` bytes lie at ``offset`` of the file ``location``."""
    from onnx import TensorProto

    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def shared(make: Callable[[], Array]) -> Callable[[], Array]:
    """Return ``make`` such that, while an array it made is in use, no second one is made."""
    alive: list[ref[Array]] = []

    def load() -> Array:
        found = alive[0]() if alive else None
        if found is not None:
            return found
        array = make()
        alive[:] = [ref(array)]
        return array

    return load
