"""Opening a model file without its weights."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.types import Array, TensorType
from emu.models.limits import Limits
from emu.models.scan import GRAPH, NODE, NOTHING, TENSOR, census
from emu.models.sparse import sparse_of
from emu.models.stored import Span, external_span, stored
from emu.models.tensors import (
    EXTERNAL,
    STORED_OTHERWISE,
    array_of,
    is_structural,
    mark_external,
    stub_type,
)
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
# Data fields whose bytes are those of the array, by element type: fixed width, little endian.
AS_RAW = {"f32": 4, "f64": 10}
TYPED = (4, 5, 7, 10, 11)


@dataclass(frozen=True)
class Opened:
    """A model file: its structure, and its weights by name, each still on the disk."""

    proto: "onnx.ModelProto"
    weights: dict[str, Constant]


def open_thin(path: Path, limits: Limits) -> Opened:
    """Read an ONNX file but for its weights; what the file says is counted before it is believed.

    Raises ModelError when the file is damaged, OverLimit when it is larger than ``limits`` allow.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        reading = _Reading(path, limits)
        text = reading.structure()
        proto = ModelProto.FromString(text)
        proto.ClearField("training_info")  # nothing here reads it
        if reading.found.has_external:
            _bring_in(proto, path, limits)
        if reading.found.has_sparse:
            reading.make_dense(proto)
        return Opened(proto, reading.weights)
    except (WireError, DecodeError, RecursionError) as error:
        raise ModelError(f"{path}: not an ONNX model: broken protobuf ({error})") from error


class _Reading:
    """One file while it is read: the text that is kept of it, and the weights that are not."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits, self.where = path, limits, str(path)
        self.weights: dict[str, Constant] = {}
        self.found = NOTHING
        self.kept_bytes = 0

    def structure(self) -> bytes:
        """Return the model in protobuf, without its weights."""
        with self.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            with memoryview(mapped) as data:
                self.found = census(data, self.limits, self.where)
                return b"".join(self._part(data, part) for part in fields(data, 0, len(data)))

    def _part(self, data: memoryview, part: Field) -> bytes:
        if part.number != MODEL_GRAPH or part.wire_type != BYTES:
            return self._kept(data, part)
        body = b"".join(self._in_graph(data, p) for p in fields(data, part.payload, part.stop))
        return header(MODEL_GRAPH, len(body)) + body

    def _in_graph(self, data: memoryview, part: Field) -> bytes:
        if part.number != GRAPH_INITIALIZER or part.wire_type != BYTES:
            return self._kept(data, part)
        tensor = self._initializer(data, part).SerializeToString()
        return header(GRAPH_INITIALIZER, len(tensor)) + tensor

    def _kept(self, data: memoryview, part: Field) -> bytes:
        self._keep(part.stop - part.start, self.where)
        return bytes(data[part.start : part.stop])

    def _keep(self, more: int, where: str) -> None:
        """Count bytes that stay in memory while the model does; raise OverLimit before they do."""
        self.kept_bytes += more
        what = "bytes without weights, or more"
        self.limits.check("structure_bytes", self.kept_bytes, where, what)

    def _initializer(self, data: memoryview, field: Field) -> "onnx.TensorProto":
        from onnx import TensorProto

        parts = tuple(fields(data, field.payload, field.stop))
        large = _contents(parts)
        rest = (p for p in parts if p is not large and p.number != TENSOR_RAW_DATA)
        tensor = TensorProto.FromString(b"".join(self._kept(data, p) for p in rest))
        type = stub_type(tensor, self.where)
        where = f"{self.where}: tensor '{tensor.name}'"
        self.limits.check_type(type, where)
        if type.dtype in STORED_OTHERWISE and tensor.data_location != EXTERNAL:
            tensor.MergeFromString(b"" if large is None else self._kept(data, large))
            array_of(tensor, self.where)  # now, so that what is wrong in it has a place
            return tensor
        if tensor.data_location == EXTERNAL:
            return self._settle(
                tensor, type, stored(tensor.name, type, external_span(tensor, type, self.path))
            )
        if large is not None and large.number in (TENSOR_RAW_DATA, AS_RAW.get(type.dtype)):
            span = Span(self.path, large.payload, large.stop - large.payload)
            return self._settle(tensor, type, stored(tensor.name, type, span))
        if large is not None:
            tensor.MergeFromString(self._kept(data, large))
        return self._settle(tensor, type, _field_data(tensor, type, self.path))

    def make_dense(self, proto: "onnx.ModelProto") -> None:
        """Put dense tensors in place of sparse ones; only weights are made when they are loaded."""
        for sparse in proto.graph.sparse_initializer:
            proto.graph.initializer.append(self._dense_initializer(sparse))
        proto.graph.ClearField("sparse_initializer")
        for message in _messages((*proto.graph.node, *proto.functions)):
            if message.DESCRIPTOR.full_name == GRAPH:
                message.initializer.extend(map(self._dense, message.sparse_initializer))
                message.ClearField("sparse_initializer")
            elif message.DESCRIPTOR.full_name == NODE and message.op_type == "Constant":
                self._fill_constant(message)

    def _dense_initializer(self, sparse: "onnx.SparseTensorProto") -> "onnx.TensorProto":
        from onnx import TensorProto

        found = sparse_of(sparse, self.where, self.limits)
        if is_structural(found.type) or found.type.dtype in STORED_OTHERWISE:
            return self._dense(sparse)
        kind = sparse.values.data_type
        tensor = TensorProto(name=found.name, dims=found.type.dims, data_type=kind)
        return self._settle(tensor, found.type, found.constant)

    def _dense(self, sparse: "onnx.SparseTensorProto") -> "onnx.TensorProto":
        from onnx import numpy_helper

        found = sparse_of(sparse, self.where, self.limits)
        self._keep(found.type.bytes, f"{self.where}: sparse tensor '{found.name}'")
        return numpy_helper.from_array(found.dense(), found.name)

    def _fill_constant(self, node: "onnx.NodeProto") -> None:
        """A Constant says by the name of its attribute what it holds."""
        from onnx import AttributeProto

        for attr in node.attribute:
            if attr.name == "sparse_value" and attr.HasField("sparse_tensor"):
                attr.t.CopyFrom(self._dense(attr.sparse_tensor))
                attr.ClearField("sparse_tensor")
                attr.name, attr.type = "value", AttributeProto.TENSOR

    def _settle(
        self, tensor: "onnx.TensorProto", type: TensorType, weight: Constant
    ) -> "onnx.TensorProto":
        if is_structural(type):
            self._keep(type.bytes, f"{self.where}: tensor '{tensor.name}'")
            return _with_contents(tensor, weight.load())
        if tensor.name in self.weights:
            raise ModelError(f"{self.path}: initializer '{tensor.name}' is defined twice")
        self.weights[tensor.name] = weight
        _without_contents(tensor)
        mark_external(tensor, "weights", 0, type.bytes)
        return tensor


def _contents(parts: tuple[Field, ...]) -> Field | None:
    """The field with the data of a tensor: the last raw one, or the only typed one."""
    raw = [p for p in parts if p.number == TENSOR_RAW_DATA and p.wire_type == BYTES]
    typed = [p for p in parts if p.number in TYPED]
    if raw:
        return raw[-1]
    return typed[0] if len(typed) == 1 and typed[0].wire_type == BYTES else None


def _field_data(tensor: "onnx.TensorProto", type: TensorType, path: Path) -> Constant:
    """A weight whose numbers stand in typed fields has to be decoded at once; few files do that."""
    array = array_of(tensor, str(path))
    return Constant(type, f"file:{path}:{tensor.name}:{type}", lambda: array)


def _bring_in(proto: "onnx.ModelProto", path: Path, limits: Limits) -> None:
    """Read what tensors of nodes and subgraphs keep in other files; they are small, or refused."""
    brought = 0
    roots = (*proto.graph.node, *proto.graph.sparse_initializer, *proto.functions)
    for tensor in _messages(roots):
        if tensor.DESCRIPTOR.full_name != TENSOR or tensor.data_location != EXTERNAL:
            continue
        type = stub_type(tensor, str(path))
        where = f"{path}: tensor '{tensor.name}'"
        limits.check_type(type, where)
        brought += type.bytes
        limits.check("structure_bytes", brought, where, "bytes of constants elsewhere, or more")
        _with_contents(tensor, stored(tensor.name, type, external_span(tensor, type, path)).load())


def _messages(roots: Iterable[Any]) -> Iterator[Any]:
    """Messages of protobuf and all inside of them, however deep; nothing is inside of a tensor."""
    waiting = list(roots)
    while waiting:
        message = waiting.pop()
        yield message
        if message.DESCRIPTOR.full_name == TENSOR:
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if hasattr(value, "ListFields") else value)


def _without_contents(tensor: "onnx.TensorProto") -> None:
    for name in (*DATA_FIELDS, "external_data", "data_location"):
        tensor.ClearField(name)


def _with_contents(tensor: "onnx.TensorProto", array: Array) -> "onnx.TensorProto":
    _without_contents(tensor)
    tensor.raw_data = array.tobytes()
    return tensor
