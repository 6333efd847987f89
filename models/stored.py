"""Where the weights of a model file lie: inside it, or in a file of the same folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.types import NUMPY, Array, TensorType
from emu.models.tensors import shared

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [offset, offset + length) of a file."""

    path: Path
    offset: int
    length: int


def stored(name: str, type: TensorType, span: Span) -> Constant:
    """Return a weight that is read from ``span`` when it is loaded.

    Raises ModelError when the span has another length than the type needs.
    """
    if span.length != type.bytes:
        raise ModelError(
            f"{span.path}: weight '{name}' is {type} and needs {type.bytes} bytes,"
            f" but {span.length} are stored"
        )
    key = f"file:{span.path}:{span.offset}:{type}"
    return Constant(type, key, shared(_reader(name, type, span)))


def _reader(name: str, type: TensorType, span: Span) -> Callable[[], Array]:
    def read() -> Array:
        try:
            flat = np.fromfile(span.path, NUMPY[type.dtype], type.elements, offset=span.offset)
            return flat.reshape(type.dims)
        except (OSError, ValueError) as error:
            raise ModelError(f"{span.path}: weight '{name}' cannot be read: {error}") from error

    return read


def external_span(tensor: "onnx.TensorProto", type: TensorType, model_path: Path) -> Span:
    """Return where an external tensor lies; raise ModelError unless that is a file in the folder.

    Paths are resolved first, so neither ``..`` nor a link can lead out of the model's folder.
    """
    where = f"{model_path}: weight '{tensor.name}'"
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = _inside(model_path.parent, entries.get("location", ""), where)
    offset = _size(entries.get("offset", "0"), "offset", where)
    length = _size(entries.get("length", str(type.bytes)), "length", where)
    if offset + length > path.stat().st_size:
        raise ModelError(
            f"{where}: bytes {offset} to {offset + length} of '{path.name}' are past its end"
            f" ({path.stat().st_size} bytes)"
        )
    return Span(path, offset, length)


def _inside(folder: Path, location: str, where: str) -> Path:
    if not location or "\0" in location or Path(location).is_absolute():
        raise ModelError(f"{where}: external data at {location!r} is not a path in the folder")
    path = (folder / location).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ModelError(f"{where}: external data at {location!r} is outside the model's folder")
    if not path.is_file():
        raise ModelError(f"{where}: external data file {location!r} does not exist")
    return path


def _size(text: str, what: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ModelError(f"{where}: external {what} {text!r} is not a number of bytes")
    return int(text)
