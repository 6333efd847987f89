"""From an ONNX file to a model, and from a model to the graph that the stack works on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emu.ir.errors import ModelError, OverLimit, Unsupported
from emu.ir.graph import Graph
from emu.models.dims import bind_inputs
from emu.models.importer import Importer
from emu.models.limits import LIMITS, Limits
from emu.models.model import Model
from emu.models.scope import domain_of
from emu.models.thin import open_thin

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 1
NEWEST_OPSET = 28  # the newest whose changes to the ops here have been read
# What Python and numpy raise for numbers, lists and types that do not go together.
UNFORESEEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    RuntimeWarning,
    TypeError,
    ValueError,
)


def read_model(path: Path, limits: Limits = LIMITS) -> Model:
    """Open an ONNX file; its weights stay on the disk until they are loaded.

    Raises ModelError when the file is missing, damaged, or keeps weights outside its own folder,
    and OverLimit when it is larger than ``limits`` allow.
    """
    try:
        _check_file(path, limits)
        opened = open_thin(path, limits)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    _check_proto(opened.proto, path)
    return Model(path.stem, opened.proto, opened.weights, str(path), limits)


def _check_file(path: Path, limits: Limits) -> None:
    if not path.exists():
        raise ModelError(f"{path}: no such file")
    if not path.is_file():
        raise ModelError(f"{path}: not a file")
    size = path.stat().st_size
    if size == 0:
        raise ModelError(f"{path}: the file is empty")
    limits.check("file_bytes", size, str(path), "bytes")


def _check_proto(proto: "onnx.ModelProto", path: Path) -> None:
    if not proto.HasField("graph") or not proto.opset_import:
        raise ModelError(f"{path}: not an ONNX model: it has no graph or no opset")


def opset_of(model: Model) -> int:
    """Return the version of ONNX's own ops; raise Unsupported outside 1 to 28."""
    found = [o.version for o in model.proto.opset_import if not domain_of(o.domain)]
    if not found and any(not domain_of(node.domain) for node in model.proto.graph.node):
        raise ModelError(f"{model.origin}: the model imports no opset of ONNX itself")
    if not found:  # all nodes are of other domains
        return NEWEST_OPSET
    if not OLDEST_OPSET <= max(found) <= NEWEST_OPSET:
        raise Unsupported(
            f"{model.origin}: opset {max(found)} is not supported;"
            f" known: {OLDEST_OPSET} to {NEWEST_OPSET}"
        )
    return max(found)


def to_graph(
    model: Model, dims: Mapping[str, int], samples: Mapping[str, Any] | None = None
) -> Graph:
    """Return the model as a typed graph in which every symbol has its number of ``dims``.

    Nothing is loaded. Nodes whose result is known once shapes are (Constant, Shape, arithmetic on
    such results) become constants and stay listed in ``Graph.folded``. What emu has no rule for
    becomes a node for the host; where only values say which types it makes, those of ``samples``,
    which are a value for every input, are taken. Raises UnboundDimension, UnsupportedOp,
    DataDependent or ModelError with the node.
    """
    opset = opset_of(model)
    importer = Importer(model, opset, bind_inputs(model, dims, samples), samples)
    for node in model.proto.graph.node:
        _add(importer, node)
    return importer.finish()


def _add(importer: Importer, node: "onnx.NodeProto") -> None:
    """Read a node; what no rule foresaw in its attributes and constants is an error with its name.

    Rules and numpy check what they can name; a file has more ways to be wrong than anyone lists.
    """
    try:
        importer.add(node)
    except MemoryError as error:
        what = f"node '{node.name}' ({node.op_type})"
        raise OverLimit(f"{what}: asks for more memory than there is: {error}") from error
    except UNFORESEEN as error:
        why = f"cannot be read: {type(error).__name__}: {error}"
        raise ModelError(f"node '{node.name}' ({node.op_type}): {why}") from error
