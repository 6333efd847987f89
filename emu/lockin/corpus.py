"""What a stack is to take in: each op of the table as a program of its own, and the zoo, small.

An op is cut out of the first model of the zoo that has it; one that no model has gets small inputs
that its type rule takes. The few ops that need more than that are no part of the corpus.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from emu.ir.errors import EmuError
from emu.ir.graph import Graph, Node
from emu.ir.ops import OPS
from emu.ir.types import TensorType
from emu.models.reader import to_graph
from emu.models.zoo import build, zoo_models

SMALL = {"image": 64, "layers": 1, "seq": 16}  # settings of the zoo, where a model has them
SHAPE = (4, 8)
MOST_INPUTS = 3
MADE_BY_PASSES = ("Relayout",)  # what no front end can emit


@lru_cache(maxsize=1)
def zoo() -> Mapping[str, Graph]:
    """Every model of the zoo, small."""
    return {m.name: to_graph(build(m.name, _small(m.settings)), {}) for m in zoo_models()}


def _small(settings: Mapping[str, int]) -> dict[str, int]:
    return {key: min(size, settings[key]) for key, size in SMALL.items() if key in settings}


@lru_cache(maxsize=1)
def ops() -> Mapping[str, Graph]:
    """A program of one node for each op of the table that has one."""
    found: dict[str, Graph] = {}
    for graph in zoo().values():
        for node in graph.nodes:
            found.setdefault(node.op, _cut(graph, node))
    rest = (name for name in OPS if name not in found and name not in MADE_BY_PASSES)
    made = {name: _made(name) for name in rest}
    return {**found, **{name: graph for name, graph in made.items() if graph is not None}}


def _cut(graph: Graph, node: Node) -> Graph:
    """One node of a model as a program; its constants stay constants."""
    read = tuple(dict.fromkeys(v for v in node.inputs if v))
    types = {v: graph.types[v] for v in (*read, *node.outputs)}
    constants = {v: graph.constants[v] for v in read if v in graph.constants}
    inputs = tuple(v for v in read if v not in constants)
    return Graph(node.op, inputs, node.outputs, (node,), types, constants)


def _made(name: str) -> Graph | None:
    """One node on small inputs, as few as its type rule takes."""
    return next(_tries(name), None)


def _tries(name: str) -> Iterator[Graph]:
    taken = TensorType("f32", SHAPE)
    for count in range(1, MOST_INPUTS + 1):
        inputs = tuple(f"x{i}" for i in range(count))
        try:
            results = OPS[name].infer([taken] * count, {})
        except EmuError:
            continue
        made = {f"y{i}": result for i, result in enumerate(results)}
        node = Node(name, name, inputs, tuple(made), source=(name,))
        yield Graph(
            name, inputs, tuple(made), (node,), {**dict.fromkeys(inputs, taken), **made}, {}
        )
