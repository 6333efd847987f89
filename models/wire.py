"""The protobuf wire format, as far as weights need it: to skip them on reading, to stream them out.

A model file of 500 MB is mostly ``TensorProto.raw_data``. The scan here walks over the file's
fields without copying those bytes, so that a model opens in the time its structure takes.
Source of the format: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Field numbers of onnx.proto.
MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
TENSOR_RAW_DATA = 9


class WireError(ValueError):
    """The bytes are not a protobuf message; readers turn it into a ModelError."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: bytes [start, stop) with its tag, [payload, stop) without."""

    number: int
    wire_type: int
    start: int
    payload: int
    stop: int


def read_varint(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    """Return the number at ``at`` and the position after it; raise WireError past ``stop``."""
    value = shift = 0
    while at < stop and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("a number does not end")


def write_varint(value: int) -> bytes:
    """Return a number in the wire format."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def header(number: int, length: int) -> bytes:
    """Return tag and length of a bytes field whose ``length`` payload bytes follow."""
    return write_varint(number << 3 | BYTES) + write_varint(length)


def _payload(data: memoryview, wire_type: int, at: int, stop: int) -> tuple[int, int]:
    if wire_type == VARINT:
        return at, read_varint(data, at, stop)[1]
    if wire_type == BYTES:
        length, at = read_varint(data, at, stop)
        return at, at + length
    if wire_type in (FIXED64, FIXED32):
        return at, at + (8 if wire_type == FIXED64 else 4)
    raise WireError(f"wire type {wire_type} is not known")


def fields(data: memoryview, start: int, stop: int) -> Iterator[Field]:
    """Yield the fields of the message in bytes [start, stop); raise WireError if it is damaged."""
    at = start
    while at < stop:
        tag, after = read_varint(data, at, stop)
        payload, end = _payload(data, tag & 7, after, stop)
        if end > stop or tag >> 3 == 0:
            raise WireError("a field is longer than its message")
        yield Field(tag >> 3, tag & 7, at, payload, end)
        at = end
