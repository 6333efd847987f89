"""The protobuf wire format as far as weights need it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.models.wire import BYTES, WireError, fields, header, read_varint, write_varint


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_a_number_comes_back(value: int) -> None:
    text = write_varint(value)
    assert read_varint(memoryview(text), 0, len(text)) == (value, len(text))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 1000), st.binary(max_size=300))))
def test_fields_come_back_in_order(parts: list[tuple[int, bytes]]) -> None:
    text = b"".join(header(number, len(payload)) + payload for number, payload in parts)
    found = list(fields(memoryview(text), 0, len(text)))
    assert [(f.number, text[f.payload : f.stop]) for f in found] == parts
    assert {f.wire_type for f in found} <= {BYTES}


@pytest.mark.parametrize("text", [b"\x80", b"\x0a\x05abc", b"\x0b", b"\x00\x00", b"\x09abc"])
def test_damaged_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(WireError):
        list(fields(memoryview(text), 0, len(text)))
