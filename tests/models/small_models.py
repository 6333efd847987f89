"""ONNX files of one or a few nodes, written for a test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from emu.ir.types import NAMES, Array
from emu.models.model import Model
from emu.models.reader import read_model
from emu.models.tensors import ELEM_TYPES


def real(*shape: int, seed: int = 0) -> Array:
    """Standard normal f32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


def value(name: str, shape: Sequence[int | str], dtype: str = "f32") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, ELEM_TYPES[dtype], shape)


def unshaped(name: str, dtype: str = "f32") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, ELEM_TYPES[dtype], None)


def node(op: str, inputs: Sequence[str], *outputs: str, name: str = "", **attrs: Any) -> Any:
    made = helper.make_node(op, inputs, outputs, name)
    made.attribute.extend(helper.make_attribute(k, v) for k, v in attrs.items())
    return made


def proto(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, Array] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def opened(folder: Path, model: onnx.ModelProto) -> Model:
    return read_model(saved(folder / "small.onnx", model))


def one_node(
    op: str,
    inputs: Sequence[Array],
    opset: int,
    constants: Sequence[Array | None] = (),
    outputs: Sequence[str] = ("f32",),
    **attrs: Any,
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """One node that reads ``inputs`` then ``constants`` (None: absent), and values to run it on."""
    fed = {f"x{i}": array for i, array in enumerate(inputs)}
    known = {f"c{i}": array for i, array in enumerate(constants) if array is not None}
    names = [*fed, *("" if c is None else f"c{i}" for i, c in enumerate(constants))]
    made = [f"y{i}" for i in range(len(outputs))]
    model = proto(
        [node(op, names, *made, name="the_node", **attrs)],
        [value(name, array.shape, NAMES[array.dtype]) for name, array in fed.items()],
        [unshaped(name, dtype) for name, dtype in zip(made, outputs, strict=True)],
        known,
        opset,
    )
    return model, fed
