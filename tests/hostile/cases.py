"""A hostile file is a name and a way to build it; the families stand in modules beside this one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from emu.ir.types import Array
from tests.models.small_models import node, proto, unshaped, value

Build = Callable[[Path], bytes]  # the folder of the file, which may get other files, to its bytes


@dataclass(frozen=True)
class Case:
    """One hostile file of a family."""

    family: str
    name: str
    build: Build

    def save(self, folder: Path) -> Path:
        path = folder / "hostile.onnx"
        path.write_bytes(self.build(folder))
        return path

    def __str__(self) -> str:
        return f"{self.family}-{self.name}"


def fixed(family: str, name: str, contents: bytes | onnx.ModelProto) -> Case:
    """A case whose bytes are known at once."""
    text = contents if isinstance(contents, bytes) else contents.SerializeToString()
    return Case(family, name, lambda _: text)


def one(
    op: str,
    inputs: Sequence[Any] = ([4, 4],),
    constants: Sequence[Array] = (),
    dtype: str = "f32",
    outputs: int = 1,
    opset: int = 17,
    **attrs: Any,
) -> onnx.ModelProto:
    """One node of ``op`` that reads values of these shapes, then constants."""
    xs = [value(f"x{i}", shape, dtype) for i, shape in enumerate(inputs)]
    cs = {f"c{i}": array for i, array in enumerate(constants)}
    ys = [f"y{i}" for i in range(outputs)]
    made = node(op, [*(x.name for x in xs), *cs], *ys, name="hostile", **attrs)
    return proto([made], xs, [unshaped(y, dtype) for y in ys], cs, opset)


def valid() -> onnx.ModelProto:
    """Conv, Relu, Reshape, MatMul with weights: what is damaged in many ways."""
    weight = np.ones((4, 3, 3, 3), np.float32)
    nodes = [
        node("Conv", ["x", "w"], "a", name="conv", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], "b", name="relu"),
        node("Reshape", ["b", "s"], "c", name="reshape"),
        node("MatMul", ["c", "m"], "y", name="matmul"),
    ]
    constants: dict[str, Array] = {
        "w": weight,
        "s": np.array([1, -1], np.int64),
        "m": np.ones((4 * 64, 5), np.float32),
    }
    return proto(nodes, [value("x", [1, 3, 8, 8])], [value("y", [1, 5])], constants)


def changed(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    """The valid model after one change."""
    model = valid()
    change(model)
    return model


def tensor(name: str, dims: Sequence[int], kind: int = 1, **fields: Any) -> onnx.TensorProto:
    """A tensor as protobuf takes it, whether it is possible or not."""
    return onnx.TensorProto(name=name, dims=dims, data_type=kind, **fields)


def graph_attr(name: str, graph: onnx.GraphProto) -> onnx.AttributeProto:
    return helper.make_attribute(name, graph)
