"""What numpy computes straight into place is what the op table says, in every element type."""

from itertools import product

import numpy as np
import pytest

from emu.ir.body import Body, BodyNode, freeze
from emu.ir.graph import Attr
from emu.ir.ops import OPS
from emu.ir.types import Array, type_of
from emu.kernels.fast import fast_body
from emu.kernels.fast.straight import UFUNCS, straight

DTYPES = ("bool", "int32", "int64", "uint64", "float64")
UNARY = ("Not", "Neg", "Abs", "Sign", "IsNaN", "Sin", "Cos")
ONLY = {
    **dict.fromkeys(("And", "Or", "Xor", "Not"), ("bool",)),
    **dict.fromkeys(("IsNaN", "Sin", "Cos"), ("float64",)),
    **dict.fromkeys(("Sub", "Neg", "Sign"), DTYPES[1:]),
}
CASES = [(op, dtype) for op, dtype in product(UFUNCS, DTYPES) if dtype in ONLY.get(op, DTYPES)]


def made(dtype: str, *shape: int) -> Array:
    return np.random.default_rng(5).integers(-4, 5, shape).astype(dtype)


def assert_right(op: str, ins: list[Array], **attrs: Attr) -> None:
    """One node and, behind it, one that reads its result."""
    types = [type_of(a) for a in ins]
    wanted = OPS[op].run(*ins, **attrs)
    assert straight(op, attrs, ins, np.empty_like(wanted))
    count = len(ins)
    reader = ("Not", (count,)) if wanted.dtype == bool else ("Add", (count, count))
    nodes = (
        BodyNode(op, tuple(range(count)), (count,), freeze(attrs)),
        BodyNode(*reader, (count + 1,)),
    )
    made_type = type_of(wanted)
    body = Body(nodes, (*types, made_type, made_type), count, frozenset(), (count, count + 1))
    before = [a.copy() for a in ins]
    first, second = fast_body(body, ins)
    after = np.logical_not(wanted) if wanted.dtype == bool else wanted + wanted
    for found, right in ((first, wanted), (second, after)):
        assert found.dtype == right.dtype
        assert np.array_equal(found, right)
    assert all(np.array_equal(a, b) for a, b in zip(ins, before, strict=True))


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_a_ufunc_writes_to_where_its_result_lies(op: str, dtype: str) -> None:
    a, b = made(dtype, 3, 1, 4), made(dtype, 2, 1)
    assert_right(op, [a] if op in UNARY else [a, b])


@pytest.mark.parametrize("dtype", ["float32", *DTYPES])
def test_a_choice_broadcasts_all_three(dtype: str) -> None:
    assert_right("Where", [made("bool", 3, 1), made(dtype, 2, 1, 4), made(dtype, 1)])


@pytest.mark.parametrize(("dtype", "to"), [*product(DTYPES[:-1], ["f32", "i64", "i32", "i1"])])
def test_whole_numbers_become_others(dtype: str, to: str) -> None:
    assert_right("Cast", [made(dtype, 3, 4)], to=to)


@pytest.mark.parametrize("axis", [0, -1])
def test_running_sums_are_written_in_place(axis: int) -> None:
    for dtype in ("float32", "int64"):
        assert_right("CumSum", [made(dtype, 3, 4)], axis=axis)


def test_what_needs_more_than_one_call_is_left_to_the_op_table() -> None:
    x, out = made("float32", 3), made("float32", 3)
    for op, attrs in (("CumSum", {"reverse": 1}), ("CumSum", {"exclusive": 1}), ("Erf", {})):
        assert straight(op, attrs, [x], out) is None
    assert straight("Cast", {"to": "i64"}, [x], made("int64", 3)) is None
    assert straight("Add", {}, [x.astype("float16")] * 2, out.astype("float16")) is None
    assert straight("Add", {}, [x, None], out) is None
