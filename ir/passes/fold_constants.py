"""Nodes that read constants only become constants: they give the same on every run."""

from dataclasses import dataclass

from emu.ir.graph import Constant, Graph, Node
from emu.ir.interpret import run_node
from emu.ir.passes.rewriting import node_key, rebuilt
from emu.ir.types import Array

# Up to this size a result is part of the model text, and a bigger result than what was read pays.
SMALL_BYTES = 64 * 1024


def fold_constants(graph: Graph) -> Graph:
    """Return ``graph`` with constants for nodes of constants; loads no weight.

    The new constants compute their contents when they are loaded. A node stays if it defines an
    output of the graph, or if its results are large and larger than what it reads: memory traffic
    on every run would cost more than it saves (an Expand of a scalar).
    """
    constants = dict(graph.constants)
    nodes: list[Node] = []
    for node in graph.nodes:
        inputs = [constants.get(v) for v in node.inputs if v]
        known = [c for c in inputs if c is not None]
        if len(known) == len(inputs) and _pays(graph, node, known):
            constants.update(_results(graph, node, constants))
        else:
            nodes.append(node)
    return rebuilt(graph, nodes, constants)


def _pays(graph: Graph, node: Node, inputs: list[Constant]) -> bool:
    if not inputs or set(node.outputs) & set(graph.outputs):
        return False
    made = sum(graph.types[v].bytes for v in node.outputs)
    return made <= max(SMALL_BYTES, sum(c.type.bytes for c in inputs))


def _results(graph: Graph, node: Node, known: dict[str, Constant]) -> dict[str, Constant]:
    inputs = [known[v] if v else None for v in node.inputs]
    keys = [c.key if c else "" for c in inputs]
    inline = _inline(graph, node, inputs)
    return {
        value: Constant(
            graph.types[value],
            node_key(node, keys, i),
            Folded(node, tuple(inputs), i),
            inline[i] if inline else None,
        )
        for i, value in enumerate(node.outputs)
    }


def _inline(graph: Graph, node: Node, inputs: list[Constant | None]) -> tuple[Array, ...] | None:
    size = sum(graph.types[v].bytes for v in node.outputs)
    if size > SMALL_BYTES or any(c is not None and c.inline is None for c in inputs):
        return None
    return run_node(node, [c.inline if c else None for c in inputs])


@dataclass(frozen=True)
class Folded:
    """How an output of a node of constants is made: from constants that may be made so as well."""

    node: Node
    inputs: tuple[Constant | None, ...]
    output: int

    def __call__(self) -> Array:
        """The contents. What several nodes on the way read is computed once, not once for each."""
        return self.contents({})

    def contents(self, made: dict[int, tuple[Array, ...]]) -> Array:
        """The contents, with what nodes on the way ``made`` before, by the identity of a node."""
        if id(self.node) not in made:
            inputs = [_loaded(c, made) if c else None for c in self.inputs]
            made[id(self.node)] = run_node(self.node, inputs)
        return made[id(self.node)][self.output]


def _loaded(constant: Constant, made: dict[int, tuple[Array, ...]]) -> Array:
    load = constant.load
    return load.contents(made) if isinstance(load, Folded) else load()
