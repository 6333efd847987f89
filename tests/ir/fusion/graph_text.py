"""Small graphs written as lines such as ``y = Conv x w``, for tests that only look at structure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import numpy as np

from emu.ir.graph import Attrs, Constant, Graph, Node
from emu.ir.group import Fused
from emu.ir.types import TensorType

TYPE = TensorType("f32", (1, 4, 8, 8))
SCALAR = TensorType("f32", ())
RELU6: Attrs = {"min": 0.0, "max": 6.0}


def graph_of(text: str, outputs: Sequence[str] = (), axes: tuple[int, ...] = (-1,)) -> Graph:
    """A graph with a node per line; a node has the name of its value.

    A number is a scalar constant, a name that starts with w a weight, other unknown names are
    inputs. Without ``outputs`` what nobody reads is an output. Means are taken over ``axes``.
    """
    attrs: dict[str, Attrs] = {"ReduceMean": {"axes": axes, "keepdims": 1}, "Clip": RELU6}
    nodes = [_node(line, attrs) for line in text.split("\n") if line.strip()]
    made = {v for node in nodes for v in node.outputs}
    read = dict.fromkeys(v for node in nodes for v in node.inputs)
    constants = {v: _constant(v) for v in read if v not in made and _is_constant(v)}
    return Graph(
        name="small",
        inputs=tuple(v for v in read if v not in made and v not in constants),
        outputs=tuple(outputs) or tuple(n.output for n in nodes if n.output not in read),
        nodes=tuple(nodes),
        types={v: TYPE for v in (*made, *read)} | {v: c.type for v, c in constants.items()},
        constants=constants,
    ).verify()


def numbered(ops: Sequence[tuple[str, tuple[int, ...]]]) -> Graph:
    """A graph of ops given with the positions of the nodes that they read; -1 is the input."""
    names = (f"n{i}" for i in count())
    lines = (
        f"{name} = {op} " + " ".join("x" if i < 0 else f"n{i}" for i in inputs)
        for name, (op, inputs) in zip(names, ops, strict=False)
    )
    return graph_of("\n".join(lines))


def groups_of(fused: Fused) -> list[str]:
    """The nodes of each group, as one word a group."""
    return ["+".join(group.nodes) for group in fused.groups]


def report(fused: Fused) -> str:
    """The groups and the decisions, a line each."""
    return "\n".join(_lines(fused))


def _lines(fused: Fused) -> Iterator[str]:
    for group in fused.groups:
        ins, outs = " ".join(group.inputs), " ".join(group.outputs)
        yield f"{group.name}: {' '.join(group.nodes)} ({ins} -> {outs})"
    yield from map(str, fused.decisions)


def _node(line: str, attrs: Mapping[str, Attrs]) -> Node:
    left, right = line.split("=")
    op, *inputs = right.split()
    outputs = tuple(left.split())
    return Node(outputs[0], op, tuple(inputs), outputs, attrs.get(op, {}), (outputs[0],))


def _is_constant(name: str) -> bool:
    return name.startswith("w") or name[0] in "-.0123456789"


def _constant(name: str) -> Constant:
    if name.startswith("w"):
        return Constant(TYPE, name, lambda: np.zeros(TYPE.dims, np.float32))
    number = np.array(float(name), np.float32)
    return Constant(SCALAR, name, lambda: number, number)
