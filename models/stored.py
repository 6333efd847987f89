"""Where the weights of a model file lie: inside it, or in a file of the same folder."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.types import NUMPY, Array, TensorType
from emu.models.tensors import shared

if TYPE_CHECKING:
    import onnx

MAPPED_BYTES = 64 << 20
MOST_DIGITS = 19  # of an offset or a length; a file has fewer bytes


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
            with open(span.path, "rb", opener=_no_link) as file:
                return (
                    _mapped(file, type, span) if _is_large(type, span) else _read(file, type, span)
                )
        except (OSError, ValueError) as error:
            raise ModelError(f"{span.path}: weight '{name}' cannot be read: {error}") from error

    return read


def _is_large(type: TensorType, span: Span) -> bool:
    """Whether memory had better not hold the weight, and the place in the file lets it."""
    return span.length >= MAPPED_BYTES and span.offset % type.itemsize == 0


def _read(file: BinaryIO, type: TensorType, span: Span) -> Array:
    flat = np.fromfile(file, NUMPY[type.dtype], type.elements, offset=span.offset)
    return flat.reshape(type.dims)


def _mapped(file: BinaryIO, type: TensorType, span: Span) -> Array:
    """The bytes of the file themselves; what was used of them gives way when memory is short."""
    return np.asarray(np.memmap(file, NUMPY[type.dtype], "r", span.offset, type.dims))


def _no_link(path: str, flags: int) -> int:
    """Open a path that was resolved: what became a link or a pipe since then is not followed."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


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
    try:
        path = (folder / location).resolve()
        path.lstat()
    except FileNotFoundError:
        raise ModelError(f"{where}: external data file {location!r} does not exist") from None
    except (OSError, RuntimeError) as error:  # a name too long, a loop of links
        raise ModelError(f"{where}: external data at {location!r}: {error}") from error
    if not path.is_relative_to(folder.resolve()):
        raise ModelError(f"{where}: external data at {location!r} is outside the model's folder")
    if not path.is_file():
        raise ModelError(f"{where}: external data at {location!r} is not a file")
    return path


def _size(text: str, what: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise ModelError(f"{where}: external {what} {text!r} is not a number of bytes")
    return int(text)
