"""Small cases of every op, in emu's spelling and in ONNX's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emu.ir.types import Array

RNG = np.random.default_rng(7)
ONNX_INT64, ONNX_BOOL = 7, 9  # TensorProto.DataType
IMAGE = (2, 4, 7, 6)


def real(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def one(number: float) -> Array:
    return np.array(number, np.float32)


def bits(*shape: int) -> Array:
    return RNG.random(shape) < 0.5


@dataclass(frozen=True)
class Case:
    """One node: its inputs and attributes in emu, and what ONNX has as further inputs instead."""

    op: str
    inputs: Sequence[Array | None]
    attrs: Mapping[str, Any] = field(default_factory=lambda: {})
    tail: Sequence[Array | None] | None = None
    onnx_attrs: Mapping[str, Any] | None = None
    outputs: int = 1

    def __str__(self) -> str:
        return f"{self.op} {dict(self.attrs)}"


UNARY = [
    Case(op, [real(3, 5) * 2])
    for op in (
        "Relu Sigmoid Tanh Erf Exp Neg Abs Floor Ceil Round Sign HardSwish Softplus Identity "
        "LeakyRelu HardSigmoid Gelu Reciprocal"
    ).split()
]
ELEMENTWISE = [
    *UNARY,
    Case("Log", [np.abs(real(3, 5))]),
    Case("Sqrt", [np.abs(real(3, 5))]),
    Case("Round", [np.array([0.5, 1.5, -0.5, -2.5], np.float32)]),
    Case("Sigmoid", [np.array([-200, 0, 200], np.float32)]),
    Case("LeakyRelu", [real(3, 5)], {"alpha": 0.3}),
    Case("HardSigmoid", [real(3, 5)], {"alpha": 0.3, "beta": 0.4}),
    Case("Gelu", [real(3, 5)], {"approximate": "tanh"}),
    Case("Not", [bits(3, 4)]),
    Case("Clip", [real(3, 5)], {"min": -0.5, "max": 0.5}, [one(-0.5), one(0.5)]),
    Case("Clip", [real(3, 5)], {"max": 0.5}, [None, one(0.5)]),
    Case("Cast", [real(3, 5) * 3], {"to": "i64"}, onnx_attrs={"to": ONNX_INT64}),
    Case("Cast", [whole(0, 1, 2)], {"to": "i1"}, onnx_attrs={"to": ONNX_BOOL}),
]
BROADCAST = [
    *(Case(op, [real(2, 3, 4), real(3, 1)]) for op in "Add Sub Mul Div Max Min".split()),
    *(Case(op, [real(3, 4), real(4)]) for op in "Greater Less".split()),
    *(Case(op, [bits(3, 4), bits(4)]) for op in "And Or".split()),
    Case("Div", [whole(-7, 7, -7, 6), whole(2, -2, -2, 3)]),
    Case("Equal", [whole(1, 2, 3), whole(1, 5, 3)]),
    Case("Pow", [np.abs(real(3, 4)), real(4)]),
    Case("Pow", [real(3, 4), one(2)]),
    Case("Where", [bits(3, 1), real(3, 4), real(4)]),
    Case("PRelu", [real(2, 3, 4), real(3, 1)]),
    Case("BatchNormalization", [real(*IMAGE), real(4), real(4), real(4), np.abs(real(4))]),
    Case(
        "BatchNormalization",
        [real(*IMAGE), real(4), real(4), real(4), np.abs(real(4))],
        {"epsilon": 0.1},
    ),
]
MOVEMENT = [
    Case("Reshape", [real(2, 3, 4)], {"shape": (0, -1)}, [whole(0, -1)], {}),
    Case("Transpose", [real(2, 3, 4)], {"perm": (2, 0, 1)}),
    Case("Transpose", [real(2, 3, 4)]),
    *(Case("Flatten", [real(2, 3, 4)], {"axis": axis}) for axis in (0, 1, 2, -1)),
    Case("Squeeze", [real(1, 3, 1)], {"axes": (0,)}, [whole(0)], {}),
    Case("Squeeze", [real(1, 3, 1)]),
    Case("Unsqueeze", [real(3, 4)], {"axes": (0, -1)}, [whole(0, -1)], {}),
    Case(
        "Slice",
        [real(5, 6, 7)],
        {"starts": (1, -1), "ends": (100, -100), "axes": (0, 2), "steps": (2, -3)},
        [whole(1, -1), whole(100, -100), whole(0, 2), whole(2, -3)],
        {},
    ),
    Case("Expand", [real(3, 1)], {"shape": (2, 1, 4)}, [whole(2, 1, 4)], {}),
    Case("Gather", [real(5, 4), np.array([[0, -1], [2, 4]])], {"axis": 0}),
    Case("Gather", [real(3, 5), whole(1)[0]], {"axis": 1}),
    Case("Concat", [real(2, 3), real(2, 1)], {"axis": -1}),
    Case("Split", [real(2, 6)], {"axis": 1, "sizes": (1, 5)}, [whole(1, 5)], {"axis": 1}, 2),
    Case(
        "Pad",
        [real(3, 4)],
        {"pads": (1, 0, -1, 2), "value": 0.5},
        [whole(1, 0, -1, 2), one(0.5)],
        {},
    ),
    Case(
        "Pad",
        [real(3, 4)],
        {"pads": (1, 0, 2, 2), "mode": "reflect"},
        [whole(1, 0, 2, 2)],
        {"mode": "reflect"},
    ),
    Case(
        "Pad",
        [real(3, 4)],
        {"pads": (1, 0, 2, 2), "mode": "edge"},
        [whole(1, 0, 2, 2)],
        {"mode": "edge"},
    ),
]

NORM_AXES: tuple[Mapping[str, Any], ...] = ({}, {"axis": 1}, {"axis": 0})
REDUCED: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = (
    ({}, {}),
    ({"axes": (-1,)}, {}),
    ({"axes": (0, 2), "keepdims": 0}, {"keepdims": 0}),
)
REDUCTION = [
    *(
        Case(op, [real(2, 3, 4)], attrs, [whole(*attrs["axes"])] if "axes" in attrs else None, rest)
        for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
        for attrs, rest in REDUCED
    ),
    Case("GlobalAveragePool", [real(*IMAGE)]),
    *(Case(op, [real(2, 3, 4)], a) for op in ("Softmax", "LogSoftmax") for a in NORM_AXES),
    Case("LayerNormalization", [real(2, 3, 8), real(8), real(8)]),
    Case("LayerNormalization", [real(2, 3, 8), real(8)], {"epsilon": 0.1}),
    Case("LayerNormalization", [real(2, 3, 8), real(3, 8), real(3, 8)], {"axis": 1}),
]
SQUARE = {"kernel_shape": (3, 2), "strides": (2, 2)}
MATRIX = [
    Case("MatMul", [real(3, 4), real(4, 5)]),
    Case("MatMul", [real(2, 1, 3, 4), real(3, 4, 5)]),
    Case("MatMul", [real(4), real(4, 5)]),
    Case("Gemm", [real(3, 4), real(4, 5)]),
    Case("Gemm", [real(4, 3), real(5, 4), real(5)], {"transA": 1, "transB": 1}),
    Case("Gemm", [real(3, 4), real(4, 5), real(3, 1)], {"alpha": 0.5, "beta": 2.0}),
    Case("Conv", [real(*IMAGE), real(6, 4, 3, 3)]),
    Case("Conv", [real(*IMAGE), real(6, 4, 1, 1), real(6)]),
    Case("Conv", [real(*IMAGE), real(6, 4, 3, 2)], {"pads": (1, 0, 2, 1), "strides": (2, 3)}),
    Case("Conv", [real(*IMAGE), real(6, 2, 3, 3), real(6)], {"group": 2, "dilations": (2, 1)}),
    Case("Conv", [real(*IMAGE), real(4, 1, 3, 3)], {"group": 4, "pads": (1, 1, 1, 1)}),
    Case("Conv", [real(2, 3, 9), real(4, 3, 3)], {"strides": (2,)}),
    Case("ConvTranspose", [real(2, 4, 3, 5), real(4, 6, 2, 2), real(6)], {"strides": (2, 2)}),
    Case(
        "ConvTranspose",
        [real(2, 4, 3, 5), real(4, 3, 3, 3)],
        {
            "strides": (2, 3),
            "pads": (1, 0, 1, 1),
            "group": 2,
            "dilations": (1, 2),
            "output_padding": (1, 0),
        },
    ),
    Case("MaxPool", [real(*IMAGE)], SQUARE),
    Case("MaxPool", [real(*IMAGE)], {**SQUARE, "pads": (1, 0, 1, 1), "ceil_mode": 1}),
    Case("MaxPool", [real(*IMAGE)], {"kernel_shape": (2, 2), "dilations": (2, 3)}),
    *(
        Case(
            "AveragePool",
            [real(*IMAGE)],
            {**SQUARE, "pads": (1, 1, 1, 0), "ceil_mode": ceil, "count_include_pad": include},
        )
        for ceil in (0, 1)
        for include in (0, 1)
    ),
]
RESIZE = [
    Case("Resize", [real(1, 2, 4, 6)], attrs, [None, np.array(attrs["scales"], np.float32)], rest)
    for attrs, rest in [
        (
            {
                "scales": (1.0, 1.0, *scales),
                "mode": mode,
                "coordinate_transformation_mode": place,
                "nearest_mode": rounding,
            },
            {"mode": mode, "coordinate_transformation_mode": place, "nearest_mode": rounding},
        )
        for scales, mode, place, rounding in (
            ((2.0, 2.0), "nearest", "asymmetric", "floor"),
            ((2.0, 3.0), "nearest", "half_pixel", "round_prefer_floor"),
            ((0.5, 0.5), "nearest", "half_pixel", "round_prefer_ceil"),
            ((1.5, 0.5), "nearest", "asymmetric", "ceil"),
            ((2.0, 3.0), "linear", "half_pixel", "round_prefer_floor"),
            ((2.0, 0.5), "linear", "align_corners", "round_prefer_floor"),
            ((0.25, 2.0), "linear", "pytorch_half_pixel", "round_prefer_floor"),
            ((2.0, 2.0), "linear", "asymmetric", "round_prefer_floor"),
        )
    ]
]


def eight(dtype: str, *shape: int) -> Array:
    bounds = np.iinfo(dtype)
    return RNG.integers(bounds.min, bounds.max, shape, endpoint=True).astype(dtype)


def points(dtype: str, *numbers: int) -> Array:
    """A zero point: one number, or one for each place."""
    return np.array(numbers if len(numbers) > 1 else sum(numbers), dtype)


SCALE, SCALES = np.array(0.05, np.float32), np.array([0.01, 0.02, 0.05, 0.1], np.float32)
SIGNED, UNSIGNED = {"x_zero_point": 3, "w_zero_point": 0}, {"x_zero_point": 200, "w_zero_point": 7}
SLID = {"pads": (1, 0, 2, 1), "strides": (2, 1)}
QUANTISATION = [
    *(
        Case(
            "QuantizeLinear",
            [real(*IMAGE) * 4, SCALE],
            {"to": to, "zero_point": zero},
            [points(dtype, zero)],
            {},
        )
        for to, dtype, zero in (("i8", "int8", -5), ("ui8", "uint8", 128), ("i8", "int8", 0))
    ),
    Case(
        "QuantizeLinear",
        [real(*IMAGE), SCALES],
        {"to": "i8", "axis": 1},
        [points("int8", 0, 0, 0, 0)],
        {"axis": 1},
    ),
    Case(
        "DequantizeLinear",
        [eight("int8", *IMAGE), SCALE],
        {"zero_point": 9},
        [points("int8", 9)],
        {},
    ),
    Case("DequantizeLinear", [eight("uint8", *IMAGE), SCALES], {"axis": 1}, [], {"axis": 1}),
    Case(
        "DequantizeLinear",
        [RNG.integers(-9999, 9999, IMAGE).astype(np.int32), SCALES],
        {"axis": -3},
        [],
        {"axis": -3},
    ),
    *(
        Case(
            "MatMulInteger",
            [eight(a, 2, 3, 40), eight(b, 40, 5)],
            attrs,
            [points(a, attrs["x_zero_point"]), points(b, attrs["w_zero_point"])],
            {},
        )
        for a, b, attrs in (("int8", "int8", SIGNED), ("uint8", "uint8", UNSIGNED))
    ),
    *(
        Case(
            "ConvInteger",
            [eight("uint8", *IMAGE), eight(w, 6, 4 // group, 3, 2)],
            {**UNSIGNED, **SLID, "group": group},
            [points("uint8", 200), points(w, 7)],
            {**SLID, "group": group},
        )
        for w, group in (("uint8", 1), ("uint8", 2))
    ),
]
CASES = [*ELEMENTWISE, *BROADCAST, *MOVEMENT, *REDUCTION, *MATRIX, *RESIZE, *QUANTISATION]
