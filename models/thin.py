"""Opening a model file without its weights."""

from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.types import Array, TensorType
from emu.models.stored import Span, external_span, stored
from emu.models.tensors import EXTERNAL, array_of, is_structural, mark_external, stub_type
from emu.models.wire import (
    BYTES,
    GRAPH_INITIALIZER,
    MODEL_GRAPH,
    TENSOR_RAW_DATA,
    Field,
    WireError,
    fields,
    header,
)

if TYPE_CHECKING:
    import onnx

DATA_FIELDS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")


@dataclass(frozen=True)
class Opened:
    """A model file: its structure, and its weights by name, each still on the disk."""

    proto: "onnx.ModelProto"
    weights: dict[str, Constant]


def open_thin(path: Path, structure_bytes: int) -> Opened:
    """Read an ONNX file but for its weights.

    Raises ModelError when the file is damaged or its structure exceeds ``structure_bytes``.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        text, weights = _scan(path)
        if len(text) > structure_bytes:
            raise ModelError(
                f"{path}: the model without weights has {len(text)} bytes;"
                f" the limit is {structure_bytes}"
            )
        return Opened(ModelProto.FromString(text), weights)
    except (WireError, DecodeError, RecursionError) as error:
        raise ModelError(f"{path}: not an ONNX model: broken protobuf ({error})") from error


def _scan(path: Path) -> tuple[bytes, dict[str, Constant]]:
    weights: dict[str, Constant] = {}
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
        with memoryview(mapped) as data:
            parts = [
                _graph(data, field, path, weights)
                if field.number == MODEL_GRAPH and field.wire_type == BYTES
                else bytes(data[field.start : field.stop])
                for field in fields(data, 0, len(data))
            ]
    return b"".join(parts), weights


def _graph(data: memoryview, graph: Field, path: Path, weights: dict[str, Constant]) -> bytes:
    parts: list[bytes] = []
    for field in fields(data, graph.payload, graph.stop):
        if field.number == GRAPH_INITIALIZER and field.wire_type == BYTES:
            tensor = _initializer(data, field, path, weights).SerializeToString()
            parts += [header(GRAPH_INITIALIZER, len(tensor)), tensor]
        else:
            parts.append(bytes(data[field.start : field.stop]))
    body = b"".join(parts)
    return header(MODEL_GRAPH, len(body)) + body


def _initializer(
    data: memoryview, field: Field, path: Path, weights: dict[str, Constant]
) -> "onnx.TensorProto":
    from onnx import TensorProto

    parts = tuple(fields(data, field.payload, field.stop))
    raw = next((p for p in reversed(parts) if p.number == TENSOR_RAW_DATA), None)
    head = b"".join(bytes(data[p.start : p.stop]) for p in parts if p.number != TENSOR_RAW_DATA)
    tensor = TensorProto.FromString(head)
    type = stub_type(tensor, str(path))
    if tensor.data_location == EXTERNAL:
        weight = stored(tensor.name, type, external_span(tensor, type, path))
    elif raw is None:
        weight = _field_data(tensor, type, path)
    else:
        span = Span(path, raw.payload, raw.stop - raw.payload)
        weight = stored(tensor.name, type, span)
    return _settle(tensor, type, weight, path, weights)


def _field_data(tensor: "onnx.TensorProto", type: TensorType, path: Path) -> Constant:
    """A weight whose numbers stand in typed fields has to be decoded at once; few files do that."""
    array = array_of(tensor, str(path))
    return Constant(type, f"file:{path}:{tensor.name}:{type}", lambda: array)


def _settle(
    tensor: "onnx.TensorProto",
    type: TensorType,
    weight: Constant,
    path: Path,
    weights: dict[str, Constant],
) -> "onnx.TensorProto":
    if is_structural(type):
        return _with_contents(tensor, weight.load())
    if tensor.name in weights:
        raise ModelError(f"{path}: initializer '{tensor.name}' is defined twice")
    weights[tensor.name] = weight
    _without_contents(tensor)
    mark_external(tensor, "weights", 0, type.bytes)
    return tensor


def _without_contents(tensor: "onnx.TensorProto") -> None:
    for name in (*DATA_FIELDS, "external_data", "data_location"):
        tensor.ClearField(name)


def _with_contents(tensor: "onnx.TensorProto", array: Array) -> "onnx.TensorProto":
    _without_contents(tensor)
    tensor.raw_data = array.tobytes()
    return tensor
