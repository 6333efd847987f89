"""Random graphs in which the pattern of a pass is planted between strangers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from emu.ir.graph import Attr, Constant, Graph, Node
from emu.ir.interpret import interpret
from emu.ir.passes.infer_types import output_types
from emu.ir.types import NUMPY, Array, TensorType, type_of

SHAPE = (1, 4, 5, 5)
UNARY = ("Relu", "Sigmoid", "Tanh", "Neg", "HardSwish")
BINARY = ("Add", "Sub", "Mul", "Max")


@dataclass
class Sketch:
    """A graph that grows node by node; every node has its type and its source from the start.

    Real numbers are f64 unless ``dtype`` says otherwise: rounding then neither hides a wrong
    rewrite nor makes a right one look wrong.
    """

    dtype: str = "f64"
    types: dict[str, TensorType] = field(default_factory=lambda: {})
    constants: dict[str, Constant] = field(default_factory=lambda: {})
    nodes: list[Node] = field(default_factory=lambda: [])
    inputs: list[str] = field(default_factory=lambda: [])

    def input(self, name: str, shape: tuple[int, ...] = SHAPE, dtype: str = "") -> str:
        """Declare an input and return its name."""
        self.types[name] = TensorType(dtype or self.dtype, shape)
        self.inputs.append(name)
        return name

    def constant(self, array: Array, inline: bool = False, key: str = "") -> str:
        """Declare a constant and return its name."""
        name = f"c{len(self.constants)}"
        real = array.astype(NUMPY[self.dtype])
        self.types[name] = type_of(real)
        self.constants[name] = Constant(
            type_of(real), key or name, lambda: real, real if inline else None
        )
        return name

    def weight(self, *shape: int, positive: bool = False) -> str:
        """Declare a constant of seeded random contents and return its name."""
        seed = np.random.default_rng(len(self.constants))
        array = seed.standard_normal(shape)
        return self.constant(np.abs(array) + 0.5 if positive else array)

    def eight_bits(self, *shape: int) -> str:
        """Declare a constant of seeded i8 and return its name."""
        name, seed = f"c{len(self.constants)}", np.random.default_rng(len(self.constants))
        array = seed.integers(-127, 128, shape).astype(np.int8)
        self.types[name] = type_of(array)
        self.constants[name] = Constant(type_of(array), name, lambda: array)
        return name

    def add(self, op: str, *inputs: str, **attrs: Attr) -> str:
        """Append a node and return its output."""
        return self.add_many(op, inputs, 1, **attrs)[0]

    def add_many(
        self, op: str, inputs: Iterable[str], outputs: int, **attrs: Attr
    ) -> tuple[str, ...]:
        """Append a node and return its outputs."""
        number = len(self.nodes)
        names = tuple(f"v{number}" + (f".{i}" if i else "") for i in range(outputs))
        node = Node(f"n{number}", op, tuple(inputs), names, attrs, (f"n{number}",))
        self.types.update(zip(names, output_types(node, self.types), strict=True))
        self.nodes.append(node)
        return names

    def graph(self, *outputs: str) -> Graph:
        """Return the graph, verified."""
        return Graph(
            "planted", tuple(self.inputs), outputs, tuple(self.nodes), self.types, self.constants
        ).verify()


Plant = Callable[[Sketch, str], str]


@st.composite
def planted(draw: st.DrawFn, plant: Plant) -> Graph:
    """A graph of [1,4,5,5] values with the plant at one or more random places."""
    sketch = Sketch()
    values = [sketch.input("x"), sketch.input("y")]
    steps = draw(st.lists(st.sampled_from(["unary", "binary", "plant"]), max_size=6))
    at = draw(st.integers(0, len(steps)))
    for step in [*steps[:at], "plant", *steps[at:]]:
        left, right = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        if step == "plant":
            values.append(plant(sketch, left))
        elif step == "unary":
            values.append(sketch.add(draw(st.sampled_from(UNARY)), left))
        else:
            values.append(sketch.add(draw(st.sampled_from(BINARY)), left, right))
    computed = [v for v in sketch.types if v.startswith("v")]
    extra = draw(st.lists(st.sampled_from(computed), max_size=2))
    return sketch.graph(*dict.fromkeys([*extra, values[-1]]))


def feeds(graph: Graph) -> dict[str, Array]:
    """Return seeded inputs."""
    rng = np.random.default_rng(3)
    return {
        name: rng.standard_normal(graph.types[name].dims).astype(NUMPY[graph.types[name].dtype])
        for name in graph.inputs
    }


def sources(graph: Graph) -> set[str]:
    """Return the model nodes that the graph stands for, or says that it has folded."""
    return {s for node in graph.nodes for s in node.source} | set(graph.folded)


def ops(graph: Graph) -> list[str]:
    """Return the ops in order."""
    return [node.op for node in graph.nodes]


def assert_same(before: Graph, after: Graph) -> None:
    """The graphs have equal interfaces, values and sources, and the second is no larger."""
    after.verify()
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    # A product of integers has a scale of its own, even where its operands stay as well.
    assert len(after.nodes) <= len(before.nodes) + ops(before).count("DequantizeLinear")
    assert sources(after) == sources(before)
    assert not set(after.folded) & {s for node in after.nodes for s in node.source}
    wanted, found = interpret(before, feeds(before)), interpret(after, feeds(before))
    for name, value in wanted.items():
        assert after.types[name] == type_of(value)
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-9)
