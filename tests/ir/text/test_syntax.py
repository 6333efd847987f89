"""Strings, numbers and names come out as MLIR spells them."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.graph import Attr
from emu.ir.text.syntax import attribute, comment, dense, quoted, ssa_names, symbol
from emu.ir.types import Array, narrowed

LITERAL = re.compile(rb'"((?:[^"\\\n]|\\\\|\\[0-9A-F]{2})*)"')
ESCAPE = re.compile(rb"\\(\\|[0-9A-F]{2})")


def unquoted(literal: str) -> str:
    """The string that a literal stands for, by the rules of MLIR's lexer."""
    inside = LITERAL.fullmatch(literal.encode("ascii"))
    assert inside is not None, literal
    return ESCAPE.sub(_byte, inside[1]).decode("utf-8", "surrogatepass")


def _byte(escape: "re.Match[bytes]") -> bytes:
    return b"\\" if escape[1] == b"\\" else bytes.fromhex(escape[1].decode())


@settings(deadline=None, max_examples=200)
@given(st.text() | st.text(alphabet='"\\\n\r\t\0a2é层'))
def test_a_printed_string_parses_back(text: str) -> None:
    assert unquoted(quoted(text)) == text


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_a_comment_stays_on_one_line_of_ascii(text: str) -> None:
    line = comment(text)
    assert line.isascii()
    assert line.splitlines() == [line]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(min_size=1) | st.text(alphabet="a1_/", min_size=1), unique=True))
def test_ssa_names_are_unique_and_legal(values: list[str]) -> None:
    names = ssa_names(values)
    legal = re.compile(r"%(\d+|[A-Za-z$._][\w$.]*)", re.ASCII)
    assert list(names) == values
    assert len(set(names.values())) == len(values)
    assert [name for name in names.values() if not legal.fullmatch(name)] == []


def test_ssa_names_stay_close_to_the_names_of_the_model() -> None:
    values = ["x", "/enc/MatMul.0", "_enc_MatMul.0", "123", "1a", "权"]
    names = ["%x", "%enc_MatMul.0", "%enc_MatMul.0_1", "%123", "%v1a", "%value"]
    assert list(ssa_names(values).values()) == names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1 : i64"),
        (-(2**63), "-9223372036854775808 : i64"),
        (1e-5, "1.0e-05 : f64"),
        (float("-inf"), "0xFFF0000000000000 : f64"),
        ("a b", '"a b"'),
        ((1, 2), "array<i64: 1, 2>"),
        ((1.0, 0.5), "array<f64: 1.0, 0.5>"),
        ((), "array<i64>"),
    ],
)
def test_an_attribute_prints_with_its_type(value: Attr, text: str) -> None:
    assert attribute(value) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.float32(0.1), "dense<0.1>"),
        (np.array([[1, 2]]), "dense<[[1, 2]]>"),
        (np.array([True, False]), "dense<[true, false]>"),
        (np.array([np.inf, 1], np.float16), "dense<[0x7C00, 1.0]>"),
        (np.zeros((0, 2)), "dense<>"),
    ],
)
def test_small_contents_print_as_dense_elements(array: Array, text: str) -> None:
    assert dense(np.asarray(array)) == text


def test_a_symbol_is_quoted_only_if_it_must_be() -> None:
    assert (symbol("conv_1.a"), symbol("a/b")) == ("@conv_1.a", '@"a/b"')


@pytest.mark.parametrize(
    ("dtype", "text"),
    [("bf16", "[1.0, -2.5, 0x7F80, 0xFF80]"), ("f8E4M3FN", "[1.0, -2.5, 448.0, -448.0]")],
)
def test_numbers_of_few_bits_are_spelled_as_real_numbers(dtype: str, text: str) -> None:
    numbers = narrowed(np.array([1, -2.5, np.inf, -np.inf], np.float32), dtype)
    assert dense(numbers) == f"dense<{text}>"


def test_no_number_in_f8_is_spelled_by_its_bits() -> None:
    assert dense(narrowed(np.array([np.nan], np.float32), "f8E4M3FN")) == "dense<[0x7F]>"
