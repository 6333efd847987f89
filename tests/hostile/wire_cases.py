"""Files that are no protobuf, or protobuf that is made to be expensive."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx

from emu.models.wire import header, write_varint
from tests.hostile.cases import Case, changed, fixed, valid

TEXT = valid().SerializeToString()
GRAPH, NODE, ATTRIBUTE, SUBGRAPH = 7, 1, 5, 6


def wrapped(payload: bytes, *numbers: int) -> bytes:
    """A payload inside messages, the last of ``numbers`` being the innermost field."""
    for number in reversed(numbers):
        payload = header(number, len(payload)) + payload
    return payload


def with_graph(*fields: bytes) -> bytes:
    """A model with an opset whose graph consists of these fields."""
    return wrapped(b"\x10\x11", 8) + wrapped(b"".join(fields), GRAPH)


def nested(levels: int, *numbers: int) -> bytes:
    text = b""
    for _ in range(levels):
        text = wrapped(text, *numbers)
    return text


def cases() -> Iterator[Case]:
    for at in np.linspace(1, len(TEXT) - 1, 24, dtype=int):
        yield fixed("truncated", f"after-{at}-of-{len(TEXT)}", TEXT[:at])
    for at in range(3, 60, 4):
        damaged = bytearray(TEXT)
        damaged[-at] ^= 0xFF
        yield fixed("flipped", f"byte-{at}-from-the-end", bytes(damaged))
    for at in range(0, 40, 3):
        damaged = bytearray(TEXT)
        damaged[at] ^= 0x80
        yield fixed("flipped", f"byte-{at}", bytes(damaged))
    yield from damaged_wire()
    yield from expensive()
    yield from not_utf8()


def damaged_wire() -> Iterator[Case]:
    endless = b"\xff" * 64
    for name, text in {
        "nothing-but-a-tag": b"\x3a",
        "a-number-without-end": b"\x08" + endless,
        "a-length-without-end": b"\x3a" + endless,
        "a-length-over-the-file": b"\x3a" + write_varint(1 << 40),
        "a-length-of-2-to-the-64": b"\x3a" + write_varint((1 << 64) - 1) + b"a",
        "a-group": b"\x0b\x0c",
        "wire-type-6": b"\x0e\x00",
        "wire-type-7": b"\x0f\x00",
        "field-number-0": b"\x02\x00",
        "a-graph-that-is-a-number": b"\x38\x05" + wrapped(b"\x10\x11", 8),
        "a-fixed-field-past-the-end": b"\x0d\x00",
        "text": b"#!/bin/sh\nrm -rf ~\n",
        "zeros": bytes(4096),
        "a-zip": b"PK\x03\x04" + bytes(100),
        "json": b'{"graph": []}',
        "pickle": b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94.",
    }.items():
        yield fixed("wire", name, text)


def expensive() -> Iterator[Case]:
    """Few bytes of the file that are many objects in memory."""
    yield fixed("many", "empty-nodes", with_graph(b"\x0a\x00" * 1_500_000))
    yield fixed("many", "empty-values", with_graph(b"\x6a\x00" * 110_000))
    yield fixed("many", "empty-attributes", with_graph(wrapped(b"\x2a\x00" * 110_000, 1)))
    yield fixed("many", "empty-functions", b"\xca\x01\x00" * 110_000)
    yield fixed("many", "plain-fields", b"\x08\x01" * 210_000)
    yield fixed("many", "empty-initializers", with_graph(b"\x2a\x00" * 110_000))
    for name, numbers in {
        "subgraphs": (NODE, ATTRIBUTE, SUBGRAPH),
        "graph-lists": (NODE, ATTRIBUTE, 11),
        "sequences": (11, 2, 4, 1),
        "optionals": (11, 2, 9, 1),
        "maps": (11, 2, 5, 2),
    }.items():
        yield fixed("deep", name, with_graph(nested(40, *numbers)))
        yield fixed("deep", f"{name}-to-the-bottom", with_graph(nested(3000, *numbers)))
    for name, number in {"name": 3, "op_type": 4, "input": 1, "output": 2, "domain": 7}.items():
        yield fixed("long", f"{name}-of-a-node", with_graph(wrapped(b"n" * 70_000, 1, number)))
        yield fixed("long", f"{name}-of-10-MB", with_graph(wrapped(b"n" * 10_000_000, 1, number)))


def not_utf8() -> Iterator[Case]:
    bad = b"\xff\xfe\xc0\x80"
    for name, text in {
        "producer": wrapped(bad, 2) + TEXT,
        "domain": wrapped(bad, 8, 1) + TEXT,
        "graph": with_graph(wrapped(bad, 2)),
        "node": with_graph(wrapped(bad, 1, 3)),
        "op": with_graph(wrapped(bad, 1, 4)),
        "input": with_graph(wrapped(bad, 1, 1)),
        "attribute": with_graph(wrapped(bad, 1, 5, 1)),
        "tensor": with_graph(wrapped(bad, 5, 8)),
        "symbol": with_graph(wrapped(bad, 11, 2, 1, 2, 1, 2)),
        "metadata": wrapped(bad, 14, 2) + TEXT,
        "location": with_graph(wrapped(wrapped(bad, 2) + b"\x0a\x08location", 5, 13)),
    }.items():
        yield fixed("utf8", name, text)
    yield fixed("names", "control-characters", changed(_rename("a\x1b[31m\nb\x00c")))
    yield fixed("names", "right-to-left", changed(_rename("\u202egpj.exe")))
    yield fixed("names", "of-60-kB", changed(_rename("long" * 15_000)))
    yield fixed("names", "a-path", changed(_rename("../../../etc/passwd")))


def _rename(name: str) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[1].name = name
        model.graph.node[1].op_type = "Nothing" + name

    return change
