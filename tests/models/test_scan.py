"""The walk over the protobuf text counts what protobuf would make of it."""

from contextlib import suppress

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.errors import EmuError, ModelError, OverLimit
from emu.models.limits import LIMITS, Limits
from emu.models.scan import Census, census
from emu.models.wire import WireError, header
from tests.hostile.damage import control, seeds


def walked(text: bytes, limits: Limits = LIMITS) -> Census:
    return census(memoryview(text), limits, "model.onnx")


def counted(message: onnx.ModelProto) -> tuple[int, int]:
    """Messages below this one, and nodes among them, as protobuf sees them."""
    found, nodes = 0, 0
    waiting = [message]
    for one in waiting:
        for field, content in one.ListFields():
            if field.message_type is not None:
                below = list(content) if hasattr(content, "append") else [content]
                found += len(below)
                nodes += sum(isinstance(part, onnx.NodeProto) for part in below)
                waiting.extend(below)
    return found, nodes


@pytest.mark.parametrize("text", seeds(), ids=range(len(seeds())))
def test_messages_and_nodes_are_those_that_protobuf_makes(text: bytes) -> None:
    found = walked(text)
    assert (found.messages, found.nodes) == counted(onnx.ModelProto.FromString(text))
    assert found.fields > found.messages
    assert not found.has_external


def test_data_in_other_files_is_seen_wherever_it_is_claimed() -> None:
    model = control()
    body = model.graph.node[0].attribute[0].g
    body.initializer.add(name="w", data_location=onnx.TensorProto.EXTERNAL)
    assert walked(model.SerializeToString()).has_external


def test_a_limit_that_a_node_breaks_is_told_with_its_name() -> None:
    model = control()
    model.graph.node[1].name = "chosen"
    with pytest.raises(OverLimit, match=r"node '' \(Identity\): has 6 messages inside each other"):
        walked(model.SerializeToString(), Limits(nesting=5))
    model.graph.node[1].input[0] = "long" * 100
    with pytest.raises(OverLimit, match=r"node 'chosen' \(If\): has 400 bytes in 'input'"):
        walked(model.SerializeToString(), Limits(string_bytes=100, nesting=100))


def test_texts_for_people_may_be_long_and_must_be_utf8() -> None:
    walked(header(6, 1000) + b"a" * 1000, Limits(string_bytes=100))  # doc_string
    with pytest.raises(ModelError, match="'doc_string' is not UTF-8"):
        walked(header(6, 2) + b"\xff\xfe")


@pytest.mark.parametrize(
    "text",
    [
        b"\x3a",
        b"\x3a\x05ab",
        b"\x3a\x02\x0a\x05abc",
        b"\x0b\x0c",
        b"\x0d\x01",
        b"\x08\xff",
        b"\x08",
    ],
)
def test_damaged_text_is_refused(text: bytes) -> None:
    with pytest.raises(WireError):
        walked(text)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_counted_or_refused(text: bytes) -> None:
    with suppress(WireError, EmuError):
        assert walked(text).fields <= len(text)
