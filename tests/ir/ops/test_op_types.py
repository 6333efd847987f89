"""Type rules refuse what does not fit, in one line that shows it."""

from collections.abc import Mapping

import pytest

from emu.ir.errors import ModelError, UnsupportedOp
from emu.ir.graph import Attr
from emu.ir.ops import OPS, Fusion, find_op
from emu.ir.types import TensorType

Shape = tuple[int, ...]


def f32(*shape: int) -> TensorType:
    return TensorType("f32", shape)


def i64(*shape: int) -> TensorType:
    return TensorType("i64", shape)


REFUSED: list[tuple[str, list[TensorType], Mapping[str, Attr], str]] = [
    ("Add", [f32(3, 4), f32(3)], {}, "tensor<3x4xf32> and tensor<3xf32> do not broadcast"),
    ("Add", [f32(3), i64(3)], {}, "takes f32 here, not tensor<3xi64>"),
    ("Add", [f32(3)], {}, "takes 2 inputs, not 1"),
    ("Relu", [f32(3), f32(3)], {}, "takes 1 inputs, not 2"),
    ("Erf", [i64(3)], {}, "not tensor<3xi64>"),
    ("Not", [f32(3)], {}, "takes i1"),
    ("And", [f32(3), f32(3)], {}, "takes i1"),
    ("Where", [f32(3), f32(3), f32(3)], {}, "takes i1"),
    ("PRelu", [f32(1, 3), f32(4, 3)], {}, "does not broadcast into"),
    ("Cast", [f32(3)], {"to": "f12"}, "cannot cast to 'f12'"),
    ("Reshape", [f32(3, 4)], {"shape": (5, -1)}, "does not reshape to (5, -1)"),
    ("Reshape", [f32(3, 4)], {"shape": (-1, -1)}, "has no meaning"),
    ("Reshape", [f32(3, 4)], {"shape": 12}, "must be a list of integers"),
    ("Transpose", [f32(3, 4)], {"perm": (0, 0)}, "no permutation"),
    ("Relayout", [f32(3, 4)], {"layout": "nhwc"}, "cannot lie in layout 'nhwc'"),
    ("Relayout", [f32(3, 4)], {"layout": "nchw"}, "one of row-major, nhwc"),
    ("Flatten", [f32(3, 4)], {"axis": 3}, "axis 3 is outside"),
    ("Squeeze", [f32(3, 1)], {"axes": (0,)}, "dimension 0 of tensor<3x1xf32> is not 1"),
    ("Unsqueeze", [f32(3)], {"axes": (0, 0)}, "name one dimension twice"),
    ("Slice", [f32(3)], {"starts": (0,), "ends": (1,), "steps": (0,)}, "do not fit together"),
    ("Expand", [f32(3)], {"shape": (2,)}, "do not broadcast"),
    ("Gather", [f32(3), f32(3)], {}, "indices must be i64 or i32"),
    ("Concat", [f32(3, 2), f32(4, 2)], {"axis": 1}, "does not concatenate"),
    ("Split", [f32(3)], {"sizes": (1, 1)}, "do not add up"),
    ("Pad", [f32(3)], {"pads": (1,)}, "two numbers for each dimension"),
    ("Pad", [f32(3)], {"pads": (-2, -2)}, "leave nothing"),
    ("Pad", [f32(3)], {"pads": (1, 1), "mode": "mirror"}, "one of constant, reflect"),
    ("ReduceSum", [f32(3)], {"axes": (1,)}, "axis 1 is outside of rank 1"),
    ("BitwiseNot", [f32(3)], {}, "takes integers, not tensor<3xf32>"),
    ("BitwiseAnd", [f32(3), f32(3)], {}, "takes integers"),
    ("BitShift", [i64(3), i64(3)], {"direction": "UP"}, "one of LEFT, RIGHT"),
    ("IsInf", [f32(3)], {"negative": "no"}, "must be an integer"),
    ("IsNaN", [i64(3)], {}, "not tensor<3xi64>"),
    ("LRN", [f32(1, 3, 2)], {"size": 3, "pads": (1,)}, "no window of 3"),
    ("MaxPoolPlaces", [f32(1, 1, 3)], {"kernel_shape": (2,), "storage_order": 2}, "0 or 1, not 2"),
    ("MaxPoolPlaces", [f32(1, 1, 3)], {"kernel_shape": (2,), "storage_order": 2}, "0 or 1, not 2"),
    ("ReverseSequence", [f32(3, 4), i64(3)], {}, "are both 0"),
    ("ReverseSequence", [f32(3, 4), i64(3)], {"batch_axis": 1}, "takes shape (4,)"),
    ("TopPlaces", [f32(3)], {"k": 4}, "k=4 is outside of the 3 elements"),
    ("Softmax", [f32(3)], {"axis": 2}, "axis 2 is outside of rank 1"),
    ("Softmax", [f32(3)], {"axis": "rows"}, "must be an integer"),
    ("LayerNormalization", [f32(2, 3), f32(2)], {}, "do not broadcast"),
    ("BatchNormalization", [f32(1, 3), f32(3), f32(3), f32(3), f32(4)], {}, "takes shape (3,)"),
    ("MatMul", [f32(3, 4), f32(3, 4)], {}, "do not multiply"),
    ("Gemm", [f32(3, 4), f32(3, 4)], {}, "do not multiply"),
    ("Gemm", [f32(1, 3, 4), f32(4, 3)], {}, "takes two matrices"),
    ("Gemm", [f32(3, 4), f32(4, 5), f32(2, 5)], {}, "do not broadcast"),
    ("Conv", [f32(1, 3, 5, 5), f32(4, 2, 3, 3)], {}, "do not fit"),
    ("Conv", [f32(1, 3, 5, 5), f32(4, 3, 7, 7)], {}, "a window of (7, 7) does not fit"),
    ("Conv", [f32(1, 3, 5, 5), f32(4, 3, 3, 3), f32(3)], {}, "takes shape (4,)"),
    ("Conv", [f32(1, 3, 5, 5), f32(4, 3, 3, 3)], {"strides": (1,)}, "do not fit a kernel"),
    ("Conv", [f32(1, 3, 5, 5), f32(4, 3, 3, 3)], {"strides": (0, 1)}, "must be positive"),
    ("ConvTranspose", [f32(1, 3, 5, 5), f32(4, 3, 3, 3)], {}, "do not fit"),
    ("MaxPool", [f32(1, 3, 5, 5)], {"kernel_shape": (3,)}, "does not slide over"),
    ("Resize", [f32(1, 3)], {"scales": (1.0,)}, "do not fit"),
    ("Resize", [f32(1, 3)], {"scales": (1.0, 2.0), "mode": "cubic"}, "one of nearest, linear"),
    ("BiasAdd", [f32(1, 3), f32(1)], {}, "takes shape (3,)"),
]


@pytest.mark.parametrize(("op", "types", "attrs", "reason"), REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(
    op: str, types: list[TensorType], attrs: Mapping[str, Attr], reason: str
) -> None:
    with pytest.raises(ModelError) as refused:
        OPS[op].infer(types, attrs)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("axis", [0, 2])
def test_bias_add_takes_the_bias_along_its_axis(axis: int) -> None:
    x = f32(2, 3, 4)
    assert OPS["BiasAdd"].infer([x, f32(x.dims[axis])], {"axis": axis}) == (x,)


def test_an_unknown_op_is_refused_by_name_and_place() -> None:
    with pytest.raises(UnsupportedOp, match="node 'x7': op 'Loop' is not supported"):
        find_op("Loop", "node 'x7'")


@pytest.mark.parametrize(
    ("op", "fusion"),
    [
        ("Relu", Fusion.ELEMENTWISE),
        ("Cast", Fusion.ELEMENTWISE),
        ("Add", Fusion.BROADCAST),
        ("BatchNormalization", Fusion.BROADCAST),
        ("Reshape", Fusion.INJECTIVE),
        ("MaxPool", Fusion.REDUCTION),
        ("Softmax", Fusion.REDUCTION),
        ("Conv", Fusion.ANCHOR),
        ("Gather", Fusion.OPAQUE),
    ],
)
def test_the_fusion_class_says_how_far_an_op_fuses(op: str, fusion: Fusion) -> None:
    assert OPS[op].fusion is fusion
