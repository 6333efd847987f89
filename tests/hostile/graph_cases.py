"""Graphs that are none: cycles, dangling and doubled values, impossible types."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import helper

from tests.hostile.cases import Case, changed, fixed, tensor
from tests.models.small_models import node, proto, unshaped, value

X, Y = [value("x", [4, 4])], [unshaped("y")]
HUGE = (1 << 62, 1 << 31, (1 << 63) - 1)


def cases() -> Iterator[Case]:
    for name, change in CHANGES.items():
        yield fixed("graph", name, changed(change))
    yield fixed("graph", "cycle", proto([node("Relu", ["b"], "y"), node("Relu", ["y"], "b")], X, Y))
    yield fixed("graph", "own-input", proto([node("Add", ["x", "y"], "y")], X, Y))
    yield fixed("graph", "no-nodes", proto([], X, X))
    yield fixed("graph", "output-is-input-twice", proto([], X, [*X, *X]))
    yield fixed("graph", "nothing", onnx.ModelProto())
    many = [node("Relu", ["x"], f"v{i}", name="same") for i in range(3000)]
    yield fixed("graph", "3000-nodes-of-one-name", proto(many, X, [unshaped("v0")]))
    yield from shapes()
    yield from types()
    yield from sparse()


def _set(change: Callable[[onnx.GraphProto], object]) -> Callable[[onnx.ModelProto], object]:
    return lambda model: change(model.graph)


CHANGES: dict[str, Callable[[onnx.ModelProto], object]] = {
    "no-opset": lambda m: m.ClearField("opset_import"),
    "opset-0": lambda m: setattr(m.opset_import[0], "version", 0),
    "opset-negative": lambda m: setattr(m.opset_import[0], "version", -(1 << 63)),
    "opset-huge": lambda m: setattr(m.opset_import[0], "version", (1 << 63) - 1),
    "only-a-foreign-opset": lambda m: setattr(m.opset_import[0], "domain", "evil"),
    "ir-version-negative": lambda m: setattr(m, "ir_version", -1),
    "no-outputs": _set(lambda g: g.ClearField("output")),
    "no-inputs": _set(lambda g: g.ClearField("input")),
    "an-output-from-nowhere": _set(lambda g: setattr(g.output[0], "name", "nowhere")),
    "an-input-from-nowhere": _set(lambda g: g.node[1].input.__setitem__(0, "nowhere")),
    "an-output-without-name": _set(lambda g: setattr(g.output[0], "name", "")),
    "an-input-twice": _set(lambda g: g.input.append(g.input[0])),
    "an-input-without-name": _set(lambda g: setattr(g.input[0], "name", "")),
    "a-weight-twice": _set(lambda g: g.initializer.append(g.initializer[0])),
    "a-weight-without-name": _set(lambda g: setattr(g.initializer[0], "name", "")),
    "a-weight-that-a-node-makes": _set(lambda g: setattr(g.initializer[0], "name", "a")),
    "a-node-twice": _set(lambda g: g.node.append(g.node[0])),
    "nodes-in-reverse": _set(lambda g: [g.node.insert(0, g.node.pop()) for _ in range(4)]),
    "an-output-twice": _set(lambda g: g.node[1].output.append("b")),
    "no-op": _set(lambda g: setattr(g.node[1], "op_type", "")),
    "an-unknown-op": _set(lambda g: setattr(g.node[1], "op_type", "Exec")),
    "a-foreign-domain": _set(lambda g: setattr(g.node[1], "domain", "com.evil")),
    "no-node-inputs": _set(lambda g: g.node[0].ClearField("input")),
    "no-node-outputs": _set(lambda g: g.node[0].ClearField("output")),
    "empty-node-inputs": _set(lambda g: g.node[0].input.__setitem__(0, "")),
    "empty-node-outputs": _set(lambda g: g.node[0].output.__setitem__(0, "")),
    "1000-node-inputs": _set(lambda g: g.node[1].input.extend(["a"] * 1000)),
    "1000-node-outputs": _set(lambda g: g.node[1].output.extend(f"o{i}" for i in range(1000))),
    "an-attribute-without-type": _set(lambda g: setattr(g.node[0].attribute[0], "type", 0)),
    "an-attribute-of-another-type": _set(lambda g: setattr(g.node[0].attribute[0], "type", 1)),
    "an-attribute-twice": _set(lambda g: g.node[0].attribute.append(g.node[0].attribute[0])),
    "an-attribute-of-a-function": _set(
        lambda g: setattr(g.node[0].attribute[0], "ref_attr_name", "pads")
    ),
    "weight-type-0": _set(lambda g: setattr(g.initializer[0], "data_type", 0)),
    "weight-type-999": _set(lambda g: setattr(g.initializer[0], "data_type", 999)),
    "weight-of-strings": _set(lambda g: setattr(g.initializer[0], "data_type", 8)),
    "weight-of-complex": _set(lambda g: setattr(g.initializer[0], "data_type", 15)),
    "weight-cut-short": _set(lambda g: setattr(g.initializer[0], "raw_data", b"\0" * 7)),
    "weight-empty": _set(lambda g: setattr(g.initializer[0], "raw_data", b"")),
    "shape-cut-short": _set(lambda g: setattr(g.initializer[1], "raw_data", b"\0" * 7)),
    "shape-of-minus-two": _set(
        lambda g: setattr(g.initializer[1], "raw_data", np.array([-2, -2]).tobytes())
    ),
    "shape-of-int-min": _set(
        lambda g: setattr(g.initializer[1], "raw_data", np.array([-(1 << 63), 1]).tobytes())
    ),
    "shape-that-overflows": _set(
        lambda g: setattr(g.initializer[1], "raw_data", np.array([1 << 62, 1 << 62]).tobytes())
    ),
    "a-sparse-weight": _set(lambda g: g.sparse_initializer.add()),
    "a-training-step": lambda m: m.training_info.add().algorithm.node.add(),
}


def shapes() -> Iterator[Case]:
    for dims in (HUGE, (-1, 4), (-(1 << 63),), (0, 1 << 62), (0,), (1 << 31, 1), (2,) * 200):
        name = "x".join(map(str, dims))[:40]
        made = proto([node("Relu", ["x"], "y")], [value("x", dims)], Y)
        yield fixed("input-shape", name, made)
        weight = proto([node("Add", ["x", "w"], "y")], X, Y)
        weight.graph.initializer.append(tensor("w", dims, raw_data=bytes(64)))
        yield fixed("weight-shape", name, weight)
        typed = proto([node("Add", ["x", "w"], "y")], X, Y)
        typed.graph.initializer.append(tensor("w", dims, float_data=[1.0] * 16))
        yield fixed("typed-weight-shape", name, typed)
        held = helper.make_attribute("value", tensor("", dims, raw_data=bytes(64)))
        constant = node("Constant", [], "c")
        constant.attribute.append(held)
        nodes = [constant, node("Add", ["x", "c"], "y")]
        yield fixed("constant-shape", name, proto(nodes, X, Y))
        outputs = [value("y", dims)]
        yield fixed("output-shape", name, proto([node("Relu", ["x"], "y")], X, outputs))


def types() -> Iterator[Case]:
    for kind in (0, -1, 8, 14, 15, 16, 17, 22, 23, 999, (1 << 31) - 1):
        x = onnx.ValueInfoProto(name="x")
        x.type.tensor_type.elem_type = kind
        x.type.tensor_type.shape.dim.add().dim_value = 4
        yield fixed("input-type", str(kind), proto([node("Relu", ["x"], "y")], [x], Y))
    for name in ("sequence_type", "map_type", "optional_type", "sparse_tensor_type"):
        x = onnx.ValueInfoProto(name="x")
        getattr(x.type, name).SetInParent()
        yield fixed("input-type", name, proto([node("Relu", ["x"], "y")], [x], Y))
    for op in ("MatMul", "Add", "Conv", "Concat", "Gather", "Where", "Pow", "Equal"):
        pair = [value("x", [4, 4]), value("z", [4, 4], "i64")]
        yield fixed("mixed-types", op, proto([node(op, ["x", "z"], "y")], pair, Y))


def sparse() -> Iterator[Case]:
    """Sparse weights whose shape is huge, whose indices are none, or which are there twice."""
    one, two = np.array([0], np.int64), np.array([0, 0], np.int64)
    for name, dims, count, indices in (
        ("overflow", (1 << 62, 1 << 62), 1, one),
        ("of-256-GiB", (1 << 18, 1 << 18), 1, one),
        ("of-rank-70", (1,) * 70, 1, one),
        ("negative", (-1, 4), 1, one),
        ("without-rank", (), 2, two),
        ("twice-the-same", (4, 4), 2, two),
        ("far-outside", (4, 4), 1, np.array([(1 << 63) - 1])),
        ("int-min", (4, 4), 1, np.array([[-(1 << 63), 0]])),
        ("values-that-are-not-there", (4, 4), 1 << 40, one),
    ):
        made = changed(lambda m: m)
        held = made.graph.sparse_initializer.add(dims=dims)
        held.values.CopyFrom(tensor("w2", (count,), raw_data=bytes(8 if count == 2 else 4)))
        held.indices.CopyFrom(onnx.numpy_helper.from_array(indices))
        yield fixed("sparse", name, made)
    doubled = changed(lambda m: m)
    held = doubled.graph.sparse_initializer.add(dims=(4, 4))
    held.values.CopyFrom(tensor("w", (1,), raw_data=bytes(4)))
    held.indices.CopyFrom(onnx.numpy_helper.from_array(one))
    yield fixed("sparse", "of-a-name-that-there-is", doubled)
