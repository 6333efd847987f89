"""Work is counted from shapes, and the work of tiles adds up to the work of the whole."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.errors import EmuError
from emu.ir.graph import Attr
from emu.ir.ops import OPS, Fusion, Work
from emu.ir.types import TensorType

Attrs = Mapping[str, Attr]


def f32(*shape: int) -> TensorType:
    return TensorType("f32", shape)


def work(op: str, types: list[TensorType | None], attrs: Attrs | None = None) -> Work:
    attrs = attrs or {}
    return OPS[op].work(types, OPS[op].infer(types, attrs), attrs)


@pytest.mark.parametrize(
    ("op", "types", "attrs", "expected"),
    [
        ("Relu", [f32(3, 4)], {}, Work(12)),
        ("Sigmoid", [f32(3, 4)], {}, Work(24, 12, 12)),
        ("Gelu", [f32(10)], {}, Work(100, 10)),
        ("Add", [f32(3, 4), f32(4)], {}, Work(12)),
        ("Softmax", [f32(3, 4)], {}, Work(84, 12, 12)),
        ("LayerNormalization", [f32(3, 4), f32(4)], {}, Work(96)),
        ("BatchNormalization", [f32(1, 3, 2, 2), *[f32(3)] * 4], {}, Work(24)),
        ("ReduceMean", [f32(3, 4)], {"axes": (1,)}, Work(12)),
        ("GlobalAveragePool", [f32(1, 2, 3, 3)], {}, Work(18)),
        ("MaxPool", [f32(1, 2, 4, 4)], {"kernel_shape": (2, 2), "strides": (2, 2)}, Work(32)),
        ("LpPool", [f32(1, 2, 4, 4)], {"kernel_shape": (2, 2), "strides": (2, 2)}, Work(64, 40)),
        ("LRN", [f32(1, 5, 2)], {"size": 3, "pads": (1, 1)}, Work(90, 10, 10)),
        ("TopPlaces", [f32(2, 8)], {"k": 3}, Work(16 * 3)),
        ("Transpose", [f32(3, 4)], {}, Work()),
        ("Gather", [f32(3, 4), TensorType("i64", (2,))], {}, Work()),
        ("MatMul", [f32(5, 3, 4), f32(4, 2)], {}, Work(2 * 5 * 3 * 4 * 2)),
        ("Gemm", [f32(3, 4), f32(4, 2), f32(2)], {}, Work(2 * 3 * 4 * 2 + 6)),
        ("Gemm", [f32(4, 3), f32(4, 2)], {"transA": 1}, Work(2 * 3 * 4 * 2)),
        ("Conv", [f32(1, 3, 4, 4), f32(8, 3, 3, 3)], {}, Work(2 * 8 * 4 * 27)),
        ("Conv", [f32(1, 4, 3, 3), f32(4, 1, 3, 3), f32(4)], {"group": 4}, Work(4 * 19)),
        ("ConvTranspose", [f32(1, 3, 2, 2), f32(3, 5, 2, 2)], {"strides": (2, 2)}, Work(480)),
        ("Resize", [f32(1, 1, 2, 2)], {"scales": (1.0, 1.0, 2.0, 2.0)}, Work()),
        (
            "Resize",
            [f32(1, 1, 2, 2)],
            {"scales": (1.0, 1.0, 2.0, 2.0), "mode": "linear"},
            Work(128),
        ),
    ],
)
def test_work_by_hand(op: str, types: list[TensorType], attrs: Attrs, expected: Work) -> None:
    assert work(op, [*types], attrs) == expected


SIZES = st.integers(1, 9)


def takes_real_numbers(name: str) -> bool:
    """Whether an op computes on f32 of one shape, one operand or two, and needs no attribute."""
    op = OPS[name]
    try:
        op.infer([f32(2, 2)] * (2 if op.fusion is Fusion.BROADCAST else 1), {})
    except EmuError:
        return False
    return op.fusion <= Fusion.BROADCAST and name != "BiasAdd"


POINTWISE = sorted(filter(takes_real_numbers, OPS))


@settings(deadline=None, max_examples=60)
@given(op=st.sampled_from(POINTWISE), a=SIZES, b=SIZES, rows=SIZES)
def test_work_of_elements_adds_up(op: str, a: int, b: int, rows: int) -> None:
    two = OPS[op].fusion is Fusion.BROADCAST

    def of(size: int) -> Work:
        return work(op, [f32(rows, size)] * (2 if two else 1))

    assert of(a) + of(b) == of(a + b)


@settings(deadline=None, max_examples=40)
@given(
    op=st.sampled_from(["Softmax", "LogSoftmax", "ReduceSum", "ReduceMax", "LayerNormalization"]),
    a=SIZES,
    b=SIZES,
    columns=SIZES,
)
def test_work_of_rows_adds_up(op: str, a: int, b: int, columns: int) -> None:
    attrs: Attrs = {"axes": (-1,)} if op.startswith("Reduce") else {}
    scale = [f32(columns)] if op == "LayerNormalization" else []

    def of(rows: int) -> Work:
        return work(op, [f32(rows, columns), *scale], attrs)

    assert of(a) + of(b) == of(a + b)


@settings(deadline=None, max_examples=40)
@given(m=SIZES, n=SIZES, a=SIZES, b=SIZES, bias=st.booleans())
def test_work_of_products_adds_up_over_columns_and_depth(
    m: int, n: int, a: int, b: int, bias: bool
) -> None:
    def columns(size: int) -> Work:
        return work("Gemm", [f32(m, n), f32(n, size), f32(size) if bias else None])

    def depth(size: int) -> Work:
        return work("MatMul", [f32(m, size), f32(size, n)])

    assert columns(a) + columns(b) == columns(a + b)
    assert depth(a) + depth(b) == depth(a + b)


@settings(deadline=None, max_examples=60)
@given(
    op=st.sampled_from(["Conv", "ConvTranspose", "MaxPool", "AveragePool"]),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    a=SIZES,
    b=SIZES,
)
def test_work_of_windows_adds_up_over_output_rows(
    op: str, kernel: int, stride: int, a: int, b: int
) -> None:
    attrs: Attrs = {"kernel_shape": (kernel, 1), "strides": (stride, 1)}
    weights = [] if op.endswith("Pool") else [f32(4, 4, kernel, 1), f32(4)]

    def of(rows: int) -> Work:
        return OPS[op].work([f32(1, 4, rows, 5), *weights], [f32(1, 4, rows, 5)], attrs)

    assert of(a) + of(b) == of(a + b)


@settings(deadline=None, max_examples=30)
@given(a=SIZES, b=SIZES, depth=SIZES)
def test_work_of_a_conv_adds_up_over_channels(a: int, b: int, depth: int) -> None:
    def outputs(size: int) -> Work:
        return work("Conv", [f32(1, depth, 5, 5), f32(size, depth, 3, 3)])

    def inputs(size: int) -> Work:
        return work("Conv", [f32(1, size, 5, 5), f32(depth, size, 3, 3)])

    assert outputs(a) + outputs(b) == outputs(a + b)
    assert inputs(a) + inputs(b) == inputs(a + b)


def test_work_is_added_and_multiplied() -> None:
    assert Work(1, 2, 1) + Work(3, 4, 1) == Work(4, 6, 2)
    assert Work(1, 2) * 3 == Work(3, 6)
