"""Each rule against onnxruntime, on one node, in the opsets where the meaning changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import EmuError, ModelError, Unsupported, UnsupportedOp
from emu.ir.graph import Graph
from emu.ir.interpret import interpret
from emu.ir.ops.onnx_node import ONNX_NODE
from emu.ir.types import Array
from emu.models.reader import to_graph
from tests.models.small_models import floats, ints, one_node, opened, real


@dataclass(frozen=True)
class Case:
    op: str
    opset: int
    inputs: Sequence[Array]
    constants: Sequence[Array | None] = ()
    attrs: dict[str, Any] = field(default_factory=lambda: {})
    outputs: Sequence[str] = ("f32",)

    def __str__(self) -> str:
        attrs = ",".join(f"{k}={v}" for k, v in self.attrs.items())
        return f"{self.op}-{self.opset}({attrs})"


def case(
    op: str,
    opset: int,
    inputs: Sequence[Array],
    constants: Sequence[Array | None] = (),
    outputs: Sequence[str] = ("f32",),
    **attrs: Any,
) -> Case:
    return Case(op, opset, inputs, constants, attrs, outputs)


X = real(2, 3, 4)
POSITIVE = np.abs(X) + np.float32(0.1)
TRUTH, OTHER = real(2, 3) > 0, real(2, 3, seed=1) > 0
IMAGE, KERNEL, SPREAD = real(1, 4, 9, 7), real(6, 4, 3, 2, seed=1), real(4, 6, 3, 2, seed=2)
CHANNELS = [np.abs(real(4, seed=i)) + np.float32(0.5) for i in range(4)]
ROWS = np.array([[2, 0], [-1, 1]])

UNARY = ("Relu", "Sigmoid", "Tanh", "Exp", "Neg", "Abs", "Floor", "Ceil", "Identity", "Softplus")

ELEMENTWISE = [
    *(case(op, 8, [X]) for op in UNARY),
    *(case(op, 13, [X]) for op in ("Erf", "Sign", "Round", "HardSigmoid", "LeakyRelu", "Dropout")),
    *(case(op, 13, [POSITIVE]) for op in ("Log", "Sqrt", "Reciprocal")),
    *(case(op, 7, [X, real(3, 1, seed=1)]) for op in ("Add", "Sub", "Mul", "Div", "PRelu")),
    *(case(op, 13, [X, real(4, seed=1)], outputs=("i1",)) for op in ("Equal", "Greater", "Less")),
    *(case(op, 13, [TRUTH, OTHER], outputs=("i1",)) for op in ("And", "Or")),
    case("Not", 13, [TRUTH], outputs=("i1",)),
    case("Where", 16, [TRUTH, real(2, 3), real(3, seed=1)]),
    case("Pow", 12, [POSITIVE, np.array(3)]),
    case("Max", 8, [X, real(3, 4, seed=1), real(4, seed=2)]),
    case("Min", 13, [X]),
    case("Min", 13, [X, real(4, seed=2)]),
    case("Sum", 8, [X, real(3, 4, seed=1), real(4, seed=2), real(1, seed=3)]),
    case("LeakyRelu", 16, [X], alpha=0.3),
    case("HardSigmoid", 6 + 1, [X], alpha=0.4, beta=0.1),
    case("HardSwish", 14, [X]),
    case("Gelu", 20, [X]),
    case("Gelu", 20, [X], approximate="tanh"),
    case("Dropout", 7, [X], ratio=0.5),
    case("Dropout", 12, [X], [np.array(0.5, np.float32), np.array(False)]),
    case("Clip", 7, [X], min=-0.5, max=0.25),
    case("Clip", 7, [X], max=0.25),
    case("Clip", 11, [X], [None, np.array(0.25, np.float32)]),
    case("Clip", 13, [X], [np.array(-0.5, np.float32), np.array(0.25, np.float32)]),
    case("Clip", 13, [X, np.asarray(floats(-0.5)[0]), np.asarray(floats(0.25)[0])]),
    case("Clip", 13, [X, np.asarray(floats(-0.5)[0])]),
    case("Cast", 9, [X * 10], to=6, outputs=("i32",)),
    case("Cast", 13, [TRUTH], to=1),
]

SHAPE = [
    case("Reshape", 7, [X], [ints(0, -1, 2)]),
    case("Reshape", 14, [X], [ints(-1)]),
    case("Reshape", 14, [X], [ints(4, 0, 2)], allowzero=0),
    case("Reshape", 14, [X], [ints(4, -1, 2)], allowzero=1),
    case("Transpose", 13, [X]),
    case("Transpose", 13, [X], perm=[1, 0, 2]),
    case("Flatten", 9, [X]),
    case("Flatten", 13, [X], axis=-1),
    case("Flatten", 13, [X], axis=3),
    case("Squeeze", 11, [real(1, 3, 1, 2)], axes=[-2]),
    case("Squeeze", 13, [real(1, 3, 1, 2)], [ints(0)]),
    case("Squeeze", 13, [real(1, 3, 1, 2)]),
    case("Unsqueeze", 11, [X], axes=[0, 3]),
    case("Unsqueeze", 13, [X], [ints(-1, 0)]),
    case("Slice", 9, [X], starts=[1, -3], ends=[9, -1], axes=[1, 2]),
    case("Slice", 10, [X], [ints(3, 0), ints(-99, 2), ints(-1, 0), ints(-2, 1)]),
    case("Slice", 13, [X], [ints(0, 1), ints(1, 3)]),
    case("Slice", 13, [X], [ints(-1), ints(0), ints(1), ints(-1)]),
    case("Expand", 8, [real(3, 1)], [ints(2, 1, 4)]),
    case("Split", 7, [X], axis=2, split=[1, 3], outputs=("f32", "f32")),
    case("Split", 11, [X], axis=-1, outputs=("f32", "f32")),
    case("Split", 13, [X], [ints(1, 2)], axis=1, outputs=("f32", "f32")),
    case("Split", 18, [real(7, 2)], num_outputs=3, outputs=("f32",) * 3),
    case("Gather", 13, [X, ROWS], axis=1),
    case("Gather", 11, [X, np.array(1)], axis=-1),
    case("Concat", 13, [X, real(2, 3, 1)], axis=-1),
    case("Pad", 10, [X], pads=[0, 1, 0, 2, 0, 1], value=1.5),
    case("Pad", 11, [X], [ints(0, 1, 0, 2, 0, -1), np.array(2.5, np.float32)]),
    case("Pad", 13, [X], [ints(0, 1, 0, 0, 1, 2)], mode="reflect"),
    case("Pad", 18, [X], [ints(2, 1), None, ints(-1)], mode="edge"),
]

NORM = [
    case("ReduceMean", 11, [X], axes=[-1, 0], keepdims=0),
    case("ReduceMean", 18, [X], [ints(1)]),
    case("ReduceSum", 11, [X]),
    case("ReduceSum", 13, [X], [ints(-1)], keepdims=0),
    case("ReduceSum", 13, [X], noop_with_empty_axes=1),
    case("ReduceMax", 12, [X], axes=[2]),
    case("ReduceMin", 18, [X], [ints(2, 0)], keepdims=0),
    case("Softmax", 9, [X]),
    case("Softmax", 11, [X], axis=-1),
    case("Softmax", 11, [X], axis=0),
    case("Softmax", 13, [X]),
    case("Softmax", 13, [X], axis=1),
    case("LogSoftmax", 11, [X], axis=1),
    case("LogSoftmax", 13, [X], axis=1),
    case("LayerNormalization", 17, [X, real(4, seed=1), real(4, seed=2)]),
    case("LayerNormalization", 17, [X, real(3, 4, seed=1)], axis=1, epsilon=0.1),
    case("BatchNormalization", 7, [IMAGE, *CHANNELS]),
    case("BatchNormalization", 15, [IMAGE, *CHANNELS], epsilon=0.1),
]

WINDOW = [
    case("MatMul", 9, [X, real(4, 5, seed=1)]),
    case("Gemm", 9, [real(3, 4), real(4, 5), real(5)], alpha=0.5, beta=2.0),
    case("Gemm", 13, [real(4, 3), real(5, 4)], transA=1, transB=1),
    case("Conv", 11, [IMAGE, KERNEL]),
    case("Conv", 11, [IMAGE, KERNEL, real(6)], strides=[2, 1], pads=[1, 0, 2, 1]),
    case("Conv", 11, [IMAGE, KERNEL], auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", 11, [IMAGE, KERNEL], auto_pad="SAME_LOWER", kernel_shape=[3, 2]),
    case("Conv", 11, [IMAGE, KERNEL], auto_pad="VALID", dilations=[2, 2]),
    case("Conv", 22, [IMAGE, real(8, 2, 3, 3)], group=2),
    case("Conv", 7, [real(2, 3, 8), real(4, 3, 3)], pads=[1, 1]),
    case("ConvTranspose", 11, [IMAGE, SPREAD], strides=[2, 2]),
    case("ConvTranspose", 11, [IMAGE, SPREAD], strides=[2, 3], output_padding=[1, 2]),
    case("ConvTranspose", 11, [IMAGE, SPREAD, real(6)], pads=[1, 0, 1, 1], dilations=[2, 1]),
    case("ConvTranspose", 11, [IMAGE, SPREAD], strides=[2, 2], output_shape=[18, 14]),
    case("ConvTranspose", 11, [IMAGE, SPREAD], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("ConvTranspose", 11, [IMAGE, SPREAD], strides=[2, 2], auto_pad="SAME_LOWER"),
    case("ConvTranspose", 11, [IMAGE, real(4, 3, 2, 2)], strides=[2, 2], group=2),
    case("MaxPool", 8, [IMAGE], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 0]),
    case("MaxPool", 12, [IMAGE], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("MaxPool", 12, [IMAGE], kernel_shape=[2, 2], dilations=[2, 3]),
    case("MaxPool", 12, [IMAGE], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    case("AveragePool", 10, [IMAGE], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("AveragePool", 7, [IMAGE], kernel_shape=[3, 3], pads=[1, 0, 0, 1], count_include_pad=1),
    case("AveragePool", 11, [IMAGE], kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
    case("GlobalAveragePool", 7, [IMAGE]),
]

HALF = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
RESIZE = [
    case("Upsample", 7, [IMAGE], scales=[1.0, 1.0, 2.0, 3.0]),
    case("Upsample", 9, [IMAGE], [floats(1, 1, 2, 2)], mode="linear"),
    case("Resize", 10, [IMAGE], [floats(1, 1, 2, 2)]),
    case("Resize", 11, [IMAGE], [floats(), floats(1, 1, 2, 1.5)], **HALF),
    case("Resize", 13, [IMAGE], [None, floats(1, 1, 0.5, 2)]),
    case("Resize", 13, [IMAGE], [None, None, ints(1, 4, 18, 21)], mode="linear"),
    case("Resize", 18, [IMAGE], [None, floats(2, 2)], axes=[2, 3]),
    case("Resize", 19, [IMAGE], [None, None, ints(5, 3)], axes=[2, 3], nearest_mode="floor"),
]

CONSTANT = [
    case("Shape", 13, [X], outputs=("i64",)),
    case("Shape", 15, [X], start=-2, outputs=("i64",)),
    case("Shape", 15, [X], start=0, end=1, outputs=("i64",)),
    case("Size", 13, [X], outputs=("i64",)),
    case("ConstantOfShape", 9, [], [ints(2, 3)]),
    case("Constant", 12, [], value_ints=[3, 4], outputs=("i64",)),
    case("Constant", 13, [], value_float=0.5),
]

ALL = [*ELEMENTWISE, *SHAPE, *NORM, *WINDOW, *RESIZE, *CONSTANT]


def graph_of(folder: Path, case: Case) -> Graph:
    model, _ = one_node(
        case.op, case.inputs, case.opset, case.constants, case.outputs, **case.attrs
    )
    return to_graph(opened(folder, model), {}).verify()


@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_node_means_what_onnxruntime_computes(tmp_path: Path, case: Case) -> None:
    proto, inputs = one_node(
        case.op, case.inputs, case.opset, case.constants, case.outputs, **case.attrs
    )
    model = opened(tmp_path, proto)
    graph = to_graph(model, {}).verify()
    expected = onnxruntime_outputs(model, inputs)
    found = interpret(graph, inputs)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert graph.types[name].dims == array.shape
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


def attrs(folder: Path, case: Case) -> dict[str, Any]:
    return dict(graph_of(folder, case).nodes[0].attrs)


def test_shapes_are_resolved_to_numbers(tmp_path: Path) -> None:
    found = attrs(tmp_path, case("Reshape", 13, [X], [ints(0, -1)]))
    assert found == {"shape": (2, 12)}


def test_a_flag_about_zeros_keeps_a_reshape_without_them_on_the_device(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, case("Reshape", 14, [X], [ints(4, -1, 2)], allowzero=1))
    assert [n.op for n in graph.nodes] == ["Reshape"]


def test_same_padding_becomes_explicit_and_the_kernel_shape_goes(tmp_path: Path) -> None:
    found = attrs(tmp_path, case("Conv", 11, [IMAGE, KERNEL], auto_pad="SAME_LOWER"))
    ones = {"strides": (1, 1), "dilations": (1, 1), "group": 1}
    assert found == {"pads": (1, 1, 1, 0), **ones}


def test_bounds_of_clip_are_shortest_decimals_and_absent_ones_are_left_out(
    tmp_path: Path,
) -> None:
    assert attrs(tmp_path, case("Clip", 13, [X], [None, floats(0.1)[0]])) == {"max": 0.1}


def test_an_old_softmax_over_the_last_axis_stays_one_node(tmp_path: Path) -> None:
    assert len(graph_of(tmp_path, case("Softmax", 11, [X], axis=2)).nodes) == 1


def test_an_old_softmax_over_several_axes_is_rewritten_with_one_source(tmp_path: Path) -> None:
    nodes = graph_of(tmp_path, case("Softmax", 11, [X], axis=1)).nodes
    assert [n.op for n in nodes] == ["Flatten", "Softmax", "Reshape"]
    assert {n.source for n in nodes} == {("the_node",)}


def test_many_operands_become_a_chain_of_two(tmp_path: Path) -> None:
    nodes = graph_of(tmp_path, case("Max", 13, [X, X, X])).nodes
    assert [(n.op, len(n.inputs)) for n in nodes] == [("Max", 2)] * 2


def test_a_shape_is_a_constant_and_its_node_is_listed_as_folded(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, case("Shape", 15, [X], outputs=("i64",)))
    assert (graph.nodes, graph.folded) == ((), ("the_node",))


def test_a_large_filled_constant_is_made_only_on_demand(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, case("ConstantOfShape", 9, [], [ints(1000, 1000)]))
    assert graph.constants["y0"].inline is None
    assert graph.constants["y0"].load().shape == (1000, 1000)


REFUSED = [
    (case("Reshape", 13, [X, ints(24)]), UnsupportedOp, "the shape ('x1') is not a constant"),
    (case("Strange", 11, [X]), UnsupportedOp, "op 'Strange' of domain 'ai.onnx', opset 11"),
    (case("Det", 11, [X]), ModelError, "inner-most 2 dimensions must have the same size"),
]


@pytest.mark.parametrize(("case", "error", "why"), REFUSED, ids=str)
def test_what_has_no_rule_is_refused_with_the_node(
    tmp_path: Path, case: Case, error: type[EmuError], why: str
) -> None:
    with pytest.raises(error) as caught:
        graph_of(tmp_path, case)
    assert "node 'the_node'" in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


HOSTED = [
    case("Resize", 13, [IMAGE], [None, floats(1, 1, 2, 2)], mode="cubic"),
    case("LayerNormalization", 17, [X, real(4)], stash_type=11),
]


@pytest.mark.parametrize("case", HOSTED, ids=str)
def test_a_node_that_no_rule_reads_is_one_for_the_host(tmp_path: Path, case: Case) -> None:
    assert [n.op for n in graph_of(tmp_path, case).nodes] == [ONNX_NODE]


def test_an_element_type_that_onnx_lacks_is_refused_with_the_node(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"node 'the_node' .* element type 99"):
        graph_of(tmp_path, case("Cast", 13, [X], to=99))


WRONG = [
    (case("Reshape", 13, [X], [ints(5, -1)]), "cannot take the shape"),
    (case("Reshape", 13, [X], [ints(1, 1, 1, 0)]), "not there"),
    (case("Transpose", 13, [X], perm=[0, 0, 1]), "twice"),
    (case("Gather", 13, [X, ROWS], axis=7), "axis 7"),
    (case("Unsqueeze", 11, [X]), "no axes"),
    (case("Slice", 13, [X], [ints(0), ints(1, 2)]), "do not fit together"),
    (case("Split", 11, [X], axis=1, outputs=("f32", "f32")), "equal parts"),
    (case("Pad", 13, [X], [ints(1)]), "pads"),
    (case("Conv", 11, [IMAGE, KERNEL], strides=[1]), "does not fit"),
    (case("Conv", 11, [IMAGE, KERNEL], strides=[0, 1]), "impossible number"),
    (case("Conv", 11, [IMAGE, KERNEL], kernel_shape=[1, 1]), "kernel_shape"),
    (case("ConvTranspose", 11, [IMAGE, SPREAD], output_padding=[1]), "output_padding"),
    (case("Conv", 11, [IMAGE]), "input 1 is missing"),
    (case("Conv", 11, [IMAGE, KERNEL], auto_pad="SOME"), "auto_pad 'SOME'"),
    (case("Clip", 13, [X], [floats(1, 2)]), "not one number"),
    (case("Resize", 13, [IMAGE], [None, None, ints(1, 4, 0, 1)]), "sizes"),
    (case("Resize", 18, [IMAGE], [None, floats(2)]), "factors"),
    (case("ConstantOfShape", 9, [], [ints(-1)]), "cannot fill"),
    (case("Softmax", 13, [X], axis=[1]), "not an integer"),
    (case("Gelu", 20, [X], approximate=1), "not a string"),
    (case("Transpose", 13, [X], perm=1), "not a list"),
    (case("LeakyRelu", 13, [X], alpha="a"), "not a number"),
    (case("Add", 13, [X, real(5)]), "do not broadcast"),
]


@pytest.mark.parametrize(("case", "why"), WRONG, ids=str)
def test_what_does_not_fit_together_is_an_error_with_the_node(
    tmp_path: Path, case: Case, why: str
) -> None:
    with pytest.raises(ModelError) as caught:
        graph_of(tmp_path, case)
    assert "node 'the_node'" in str(caught.value)
    assert why in str(caught.value)
