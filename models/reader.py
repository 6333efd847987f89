"""From an ONNX file to a model, and from a model to the graph that the stack works on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emu.ir.errors import ModelError, Unsupported
from emu.ir.graph import Graph
from emu.models.dims import bind_inputs
from emu.models.importer import Importer
from emu.models.model import Model
from emu.models.thin import open_thin

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 7
NEWEST_OPSET = 28  # the newest whose changes to the ops here have been read
DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model file may be at most; weights in files of their own do not count."""

    file_bytes: int = 1 << 31  # protobuf itself ends at 2 GiB
    structure_bytes: int = 1 << 26  # all but the weights: 64 MiB
    nodes: int = 100_000


LIMITS = Limits()


def read_model(path: Path, limits: Limits = LIMITS) -> Model:
    """Open an ONNX file; its weights stay on the disk until they are loaded.

    Raises ModelError when the file is missing, damaged, larger than ``limits`` allow, or keeps
    weights outside its own folder.
    """
    try:
        _check_file(path, limits)
        opened = open_thin(path, limits.structure_bytes)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    _check_proto(opened.proto, path, limits)
    return Model(path.stem, opened.proto, opened.weights, str(path))


def _check_file(path: Path, limits: Limits) -> None:
    if not path.exists():
        raise ModelError(f"{path}: no such file")
    if not path.is_file():
        raise ModelError(f"{path}: not a file")
    size = path.stat().st_size
    if size == 0:
        raise ModelError(f"{path}: the file is empty")
    if size > limits.file_bytes:
        raise ModelError(f"{path}: the file has {size} bytes; the limit is {limits.file_bytes}")


def _check_proto(proto: "onnx.ModelProto", path: Path, limits: Limits) -> None:
    nodes = len(proto.graph.node)
    if not proto.HasField("graph") or not proto.opset_import:
        raise ModelError(f"{path}: not an ONNX model: it has no graph or no opset")
    if nodes > limits.nodes:
        raise ModelError(f"{path}: the model has {nodes} nodes; the limit is {limits.nodes}")
    if proto.graph.sparse_initializer:
        raise Unsupported(f"{path}: sparse initializers are not supported")


def opset_of(model: Model) -> int:
    """Return the version of ONNX's own ops; raise Unsupported outside 7 to 28."""
    found = [o.version for o in model.proto.opset_import if o.domain in DEFAULT_DOMAINS]
    if not found:
        raise ModelError(f"{model.origin}: the model imports no opset of ONNX itself")
    if not OLDEST_OPSET <= max(found) <= NEWEST_OPSET:
        raise Unsupported(
            f"{model.origin}: opset {max(found)} is not supported;"
            f" known: {OLDEST_OPSET} to {NEWEST_OPSET}"
        )
    return max(found)


def to_graph(model: Model, dims: Mapping[str, int]) -> Graph:
    """Return the model as a typed graph in which every symbol has its number of ``dims``.

    Nothing is loaded. Nodes whose result is known once shapes are (Constant, Shape, arithmetic on
    such results) become constants and stay listed in ``Graph.folded``. Raises UnboundDimension,
    UnsupportedOp or ModelError with the node.
    """
    opset = opset_of(model)
    importer = Importer(model, opset, bind_inputs(model, dims))
    for node in model.proto.graph.node:
        importer.add(node)
    return importer.finish()
