"""A model that onnxruntime's own quantiser wrote: emu's run of the file beside onnxruntime's."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnxruntime import quantization

from emu.ir.types import Array
from emu.pipeline import Executable, compile

ORT: Any = onnxruntime
QUANTISER: Any = quantization
FORMS = {
    "qdq-i8": ("QDQ", "QInt8"),
    "qdq-ui8": ("QDQ", "QUInt8"),
    "operators": ("QOperator", "QUInt8"),
}
IMAGE = (1, 3, 32, 32)


class _Net:
    """A residual network of two blocks, node by node."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def op(self, op: str, name: str, *inputs: str, **attrs: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attrs))
        return name

    def weight(self, name: str, *shape: int) -> str:
        fan = float(np.prod(shape[1:])) if len(shape) > 1 else 9.0
        array = (self.random.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, name: str, x: str, shape: tuple[int, int, int], stride: int = 1) -> str:
        out, channels, size = shape
        weight = self.weight(f"{name}.w", out, channels, size, size)
        bias, edge = self.weight(f"{name}.b", out), size // 2
        attrs = {"strides": [stride] * 2, "pads": [edge] * 4}
        return self.op("Conv", name, x, weight, bias, **attrs)

    def finish(self) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, IMAGE)
        y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 10))
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.weights)
        opsets = [helper.make_opsetid("", 13)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def small_resnet() -> onnx.ModelProto:
    """A stem with a pool, a block with a residual, a block that goes down, and a classifier."""
    net = _Net()
    stem = net.op("Relu", "stem.relu", net.conv("stem", "x", (16, 3, 3), 2))
    pool = net.op("MaxPool", "pool", stem, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    first = net.op("Relu", "a.relu", net.conv("a", pool, (16, 16, 3)))
    added = net.op("Add", "b.add", net.conv("b", first, (16, 16, 3)), pool)
    block = net.op("Relu", "b.relu", added)
    third = net.op("Relu", "c.relu", net.conv("c", block, (32, 16, 3), 2))
    fourth, down = net.conv("d", third, (32, 32, 3)), net.conv("down", block, (32, 16, 1), 2)
    last = net.op("Relu", "d.relu", net.op("Add", "d.add", fourth, down))
    flat = net.op("Flatten", "flat", net.op("GlobalAveragePool", "mean", last))
    net.op("Gemm", "y", flat, net.weight("fc.w", 32, 10), net.weight("fc.b", 10))
    return net.finish()


def image(seed: int) -> dict[str, Array]:
    return {"x": np.random.default_rng(seed).standard_normal(IMAGE).astype(np.float32)}


def next_image(reader: Any) -> dict[str, Array] | None:
    """What onnxruntime's quantiser calls to get inputs to calibrate with."""
    return next(reader.images, None)


def reader() -> Any:
    """A few random images to calibrate with."""
    members = {"get_next": next_image, "images": iter([image(seed) for seed in range(4)])}
    return type("Images", (QUANTISER.CalibrationDataReader,), members)()


@pytest.fixture(scope="module", params=FORMS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as onnxruntime's quantiser writes it, with weights per channel."""
    folder = tmp_path_factory.mktemp("quantised")
    form, activations = FORMS[str(request.param)]
    (folder / "real.onnx").write_bytes(small_resnet().SerializeToString())
    QUANTISER.quantize_static(
        folder / "real.onnx",
        folder / "quantised.onnx",
        reader(),
        quant_format=QUANTISER.QuantFormat[form],
        per_channel=True,
        activation_type=QUANTISER.QuantType[activations],
        weight_type=QUANTISER.QuantType.QInt8,
    )
    return folder / "quantised.onnx"


def by_onnxruntime(path: Path, inputs: dict[str, Array]) -> Array:
    session = ORT.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], inputs)[0])


def step_of(path: Path) -> float:
    """The step of the classifier's result, the coarsest one that its outputs can be apart."""
    outputs = by_onnxruntime(path, image(9))
    different = np.unique(np.round(np.diff(np.unique(outputs.reshape(-1))), 6))
    return float(different[different > 0].min())


@lru_cache(maxsize=16)
def executable(path: Path, fusion: str = "vertical") -> Executable:
    return compile(path, fusion=fusion)


@pytest.mark.parametrize(
    ("fusion", "executor"), [("none", "fast"), ("vertical", "fast"), ("vertical", "tiles")]
)
def test_values_are_those_of_onnxruntimes_own_run_within_a_step(
    path: Path, fusion: str, executor: str
) -> None:
    inputs = image(9)
    run = executable(path, fusion).run(inputs, executor=executor)
    assert run.outputs is not None
    assert run.check is not None
    assert run.check.ok
    apart = np.abs(run.outputs["y"] - by_onnxruntime(path, inputs))
    assert float(apart.max()) <= 1.01 * step_of(path)


def test_every_product_is_one_of_integers_in_one_launch_with_its_rescaling(path: Path) -> None:
    compiled = executable(path).compiled
    found = [node.op for node in compiled.lowered.nodes]
    assert (found.count("ConvInteger"), found.count("MatMulInteger")) == (6, 1)
    assert found.count("DequantizeAdd") == 2
    assert not {"Conv", "Gemm", "MatMul"} & set(found)
    for binding in compiled.schedule.bindings:
        inside = [node.op for node in binding.body.nodes]
        if "ConvInteger" in inside:
            assert {"DequantizeLinear", "QuantizeLinear"} <= set(inside)


def test_integers_move_less_than_half_of_the_bytes_of_the_real_model(path: Path) -> None:
    real = executable(path.with_name("real.onnx")).compiled.trace
    assert executable(path).compiled.trace.did.traffic.total < real.did.traffic.total / 2
