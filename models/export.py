"""Writing a model to a file, weight after weight, so that memory never holds all of them."""

from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from emu.ir.errors import BadOption
from emu.ir.graph import Constant
from emu.ir.replacing import replacing
from emu.ir.types import Array
from emu.models.model import Model
from emu.models.tensors import ELEM_TYPES, mark_external
from emu.models.wire import GRAPH_INITIALIZER, MODEL_GRAPH, TENSOR_RAW_DATA, header

if TYPE_CHECKING:
    import onnx

FILE_LIMIT_BYTES = (1 << 31) - (1 << 20)  # protobuf ends at 2 GiB; room for the structure


def export(model: Model, path: Path, file_limit_bytes: int = FILE_LIMIT_BYTES) -> tuple[Path, ...]:
    """Write the model and return the files made, the .onnx file first.

    The weights stand in the file itself, or in ``PATH.data`` beside it when they exceed
    ``file_limit_bytes``. A file appears only when it is complete. Raises BadOption if the folder
    cannot be written, or if ``path`` is the file that the model's own weights lie in.
    """
    if path.exists() and Path(model.origin).exists() and path.samefile(model.origin):
        raise BadOption(f"{path}: a model cannot be exported onto its own file")
    try:
        if model.weight_bytes <= file_limit_bytes:
            _write_whole(model, path)
            return (path,)
        data = path.with_name(path.name + ".data")
        _write_with_data(model, path, data)
        return path, data
    except OSError as error:
        raise BadOption(f"{path}: cannot be written: {error.strerror}") from error


def _write_whole(model: Model, path: Path) -> None:
    shell, graph = _without_weights(model)
    heads = [_tensor_head(name, weight) for name, weight in model.weights.items()]
    sizes = [len(h) + w.type.bytes for h, w in zip(heads, model.weights.values(), strict=True)]
    fields = [header(GRAPH_INITIALIZER, size) for size in sizes]
    length = len(graph) + sum(sizes) + sum(len(f) for f in fields)
    with replacing(path) as file:
        file.write(shell + header(MODEL_GRAPH, length) + graph)
        for field, head, weight in zip(fields, heads, model.weights.values(), strict=True):
            file.write(field + head)
            file.write(_bytes(weight.load()))


def _without_weights(model: Model) -> tuple[bytes, bytes]:
    """Return the model without its graph, and the graph without the initializers to stream."""
    from onnx import GraphProto, ModelProto

    graph, shell = GraphProto(), ModelProto()
    graph.CopyFrom(model.proto.graph)
    kept = [t for t in graph.initializer if t.name not in model.weights]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    shell.CopyFrom(model.proto)
    shell.ClearField("graph")
    return shell.SerializeToString(), graph.SerializeToString()


def _tensor_head(name: str, weight: Constant) -> bytes:
    """Return a TensorProto up to the contents of its last field, raw_data."""
    from onnx import TensorProto

    tensor = TensorProto(name=name, dims=weight.type.dims, data_type=ELEM_TYPES[weight.type.dtype])
    return tensor.SerializeToString() + header(TENSOR_RAW_DATA, weight.type.bytes)


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _write_with_data(model: Model, path: Path, data: Path) -> None:
    from onnx import ModelProto

    proto = ModelProto()
    proto.CopyFrom(model.proto)
    stubs = {t.name: t for t in proto.graph.initializer if t.name in model.weights}
    with replacing(data) as file:
        _write_data(model, stubs, data.name, file)
    with replacing(path) as file:
        file.write(proto.SerializeToString())


def _write_data(
    model: Model, stubs: dict[str, "onnx.TensorProto"], location: str, file: IO[bytes]
) -> None:
    for name, weight in model.weights.items():
        mark_external(stubs[name], location, file.tell(), weight.type.bytes)
        file.write(_bytes(weight.load()))
