"""Small files that ask for much: memory, time, trips, calls."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import onnx
from onnx import helper

from emu.ir.types import Array
from tests.hostile.cases import Case, fixed, one
from tests.models.small_models import ints, node, proto, unshaped, value

X, Y = [value("x", [4, 4])], [unshaped("y")]
LAST = [unshaped("v60")]


def cases() -> Iterator[Case]:
    yield from doubling()
    yield from folding()
    yield from functions()
    yield from loops()
    yield from work()


def _chain(op: str, count: int, constants: dict[str, Array], *more: str) -> onnx.ModelProto:
    nodes = [node(op, [f"v{i}", *more], f"v{i + 1}", name=f"n{i}") for i in range(count)]
    return proto(nodes, [value("v0", [4, 4])], [unshaped(f"v{count}")], constants)


def doubling() -> Iterator[Case]:
    twice = [node("Concat", [f"v{i}"] * 2, f"v{i + 1}", axis=0) for i in range(60)]
    yield fixed("doubling", "Concat", proto(twice, [value("v0", [4, 4])], LAST))
    yield fixed("doubling", "Tile", _chain("Tile", 60, {"t": ints(2, 2)}, "t"))
    yield fixed("doubling", "Pad", _chain("Pad", 60, {"p": ints(*(1 << 30,) * 4)}, "p"))
    row = [node("Reshape", ["v0", "column"], "c"), node("Add", ["v0", "c"], "v1")]
    tall = [value("v0", [1 << 20])]
    made = proto(row, tall, [unshaped("v1")], {"column": ints(1 << 20, 1)})
    yield fixed("doubling", "outer-sum", made)
    names = [node("Identity", ["x"] if i == 0 else [f"i{i}"], f"i{i + 1}") for i in range(2000)]
    yield fixed("doubling", "2000-identities", proto(names, X, [unshaped("i2000")]))


def folding() -> Iterator[Case]:
    """Constants that the import computes: each is small enough, and there are many."""
    shape = {"s": ints(1 << 17)}
    zero = helper.make_attribute("value", onnx.numpy_helper.from_array(ints(0)))
    fills = [node("ConstantOfShape", ["s"], f"c{i}") for i in range(300)]
    for fill in fills:
        fill.attribute.append(zero)
    yield fixed(
        "folding", "300-MB-of-zeros", proto([*fills, node("Relu", ["x"], "y")], X, Y, shape)
    )
    powers = [node("Mul", [f"k{i}"] * 2, f"k{i + 1}") for i in range(2000)]
    nodes = [*powers, node("Expand", ["x", "k2000"], "y")]
    yield fixed("folding", "powers", proto(nodes, X, Y, {"k0": ints(3, 3)}))
    texts = [node("Concat", [f"k{i}"] * 2, f"k{i + 1}", axis=0) for i in range(40)]
    nodes = [*texts, node("Reshape", ["x", "k40"], "y")]
    yield fixed("folding", "a-shape-that-doubles", proto(nodes, X, Y, {"k0": ints(1)}))


def _function(name: str, nodes: list[onnx.NodeProto]) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    return helper.make_function("mine", name, ["a"], ["b"], nodes, opsets)


def _calls(name: str, callee: str, count: int) -> onnx.FunctionProto:
    values = ["a", *(f"t{i}" for i in range(count - 1)), "b"]
    steps = pairwise(values)
    return _function(name, [helper.make_node(callee, [u], [v], domain="mine") for u, v in steps])


def _hidden_calls(name: str, callee: str, count: int) -> onnx.FunctionProto:
    """A function whose calls stand in a branch that is always taken."""
    calls = _calls(name, callee, count).node
    branch = helper.make_graph([], "branch", [], [unshaped("t")])
    branch.node.extend(calls)
    branch.node[-1].output[0] = "t"
    nodes = [
        node("Constant", [], "yes", value=onnx.numpy_helper.from_array(np.array(True))),
        node("If", ["yes"], "b", then_branch=branch, else_branch=branch),
    ]
    return _function(name, nodes)


def _calling(*made: onnx.FunctionProto) -> onnx.ModelProto:
    model = proto([helper.make_node(made[0].name, ["x"], ["y"], domain="mine")], X, Y)
    model.functions.extend(made)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    return model


def functions() -> Iterator[Case]:
    last = _function("f9", [helper.make_node("Relu", ["a"], ["b"])])
    laughs = [_calls(f"f{i}", f"f{i + 1}", 10) for i in range(9)]
    yield fixed("functions", "a-billion-laughs", _calling(*laughs, last))
    hidden = [_hidden_calls(f"f{i}", f"f{i + 1}", 10) for i in range(9)]
    yield fixed("functions", "a-billion-laughs-in-branches", _calling(*hidden, last))
    yield fixed("functions", "itself-in-a-branch", _calling(_hidden_calls("f0", "f0", 1)))
    yield fixed("functions", "itself", _calling(_calls("f0", "f0", 1)))
    yield fixed("functions", "each-other", _calling(_calls("f0", "f1", 1), _calls("f1", "f0", 1)))
    deep = [_calls(f"f{i}", f"f{i + 1}", 1) for i in range(2000)]
    end = _function("f2000", [helper.make_node("Relu", ["a"], ["b"])])
    yield fixed("functions", "2000-deep", _calling(*deep, end))
    yield fixed("functions", "twice", _calling(last, last))
    yield fixed("functions", "missing", _calling(_calls("f0", "nowhere", 1)))
    yield fixed("functions", "empty", _calling(onnx.FunctionProto(name="f0", domain="mine")))
    shadow = _function("f0", [helper.make_node("Relu", ["nowhere"], ["b"])])
    yield fixed("functions", "reads-from-nowhere", _calling(shadow))


def _body(nodes: list[onnx.NodeProto], state: list[int | str]) -> onnx.GraphProto:
    inputs = [value("i", [], "i64"), value("c", [], "i1"), value("s", state)]
    outputs = [value("k", [], "i1"), value("t", state)]
    return helper.make_graph([node("Identity", ["c"], "k"), *nodes], "body", inputs, outputs)


def _loop(trips: int, body: onnx.GraphProto) -> onnx.ModelProto:
    constants: dict[str, Array] = {"m": np.array(trips, np.int64), "go": np.array(True)}
    made = node("Loop", ["m", "go", "x"], "y", name="the_loop", body=body)
    return proto([made], X, Y, constants)


def loops() -> Iterator[Case]:
    step = [node("Add", ["s", "s"], "t")]
    for trips in (-1, 1_000_000, 1 << 40, (1 << 63) - 1):
        yield fixed("loop", f"{trips}-trips", _loop(trips, _body(step, [4, 4])))
    grow = [node("Concat", ["s", "s"], "t", axis=0)]
    yield fixed("loop", "that-doubles", _loop(100, _body(grow, ["N", 4])))
    inner = node("Loop", ["m", "c", "s"], "t", body=_body(step, [4, 4]))
    yield fixed("loop", "in-a-loop", _loop(10_000, _body([inner], [4, 4])))
    nothing = helper.make_graph([], "body", [], [])
    yield fixed("loop", "without-a-body", _loop(3, nothing))
    yield fixed("loop", "without-a-graph", one("Loop", ([4, 4],)))
    yield fixed("if", "without-branches", one("If", ([],), dtype="i1"))
    yield fixed("if", "with-empty-branches", one("If", ([],), (), "i1", then_branch=nothing))
    yield fixed("scan", "without-a-body", one("Scan", ([4, 4],), num_scan_inputs=1))
    yield fixed("scan", "of-too-many", one("Scan", body=nothing, num_scan_inputs=1 << 40))


def work() -> Iterator[Case]:
    """Values that fit and operations that do not end."""
    pair = [value("x", [40_000, 40_000]), value("z", [40_000, 40_000])]
    yield fixed("work", "a-large-product", proto([node("MatMul", ["x", "z"], "y")], pair, Y))
    kernel = one("Conv", ([1, 64, 512, 512], [64, 64, 99, 99]))
    yield fixed("work", "a-large-kernel", kernel)
    products = [node("MatMul", [f"v{i}", "v0"], f"v{i + 1}") for i in range(1000)]
    made = proto(products, [value("v0", [1000, 1000])], [unshaped("v1000")])
    yield fixed("work", "1000-products", made)
    sums = [node("Exp", [f"v{i}"], f"v{i + 1}") for i in range(400)]
    made = proto(sums, [value("v0", [8000, 8000])], [unshaped("v400")])
    yield fixed("work", "400-sums-of-256-MB", made)
    pool = one("MaxPool", ([1, 1, 3000, 3000],), kernel_shape=[1000, 1000])
    yield fixed("work", "a-large-window", pool)
