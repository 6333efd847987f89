"""The graph level: one function of tensors, one operation of the dialect ``emu`` per node."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from emu.ir.graph import Constant, Graph, Node
from emu.ir.text.syntax import (
    Function,
    Values,
    attributes,
    booleans,
    dense,
    module,
    operation,
    quoted,
    renamed,
    ssa_names,
    strings,
)

# Contents up to this size are part of the model's text; larger ones are named, never shown.
INLINE_ELEMENTS = 16


@dataclass(frozen=True)
class Spelling:
    """One function being printed: the graph and the SSA name of every value in the function."""

    graph: Graph
    names: Mapping[str, str]

    def values(self, values: Iterable[str]) -> Values:
        """The SSA names and types of some values of the graph."""
        values = tuple(values)
        types = self.graph.types
        return Values([self.names[v] for v in values], [str(types[v]) for v in values])


def print_graph(graph: Graph) -> str:
    """Return a graph as a module whose function ``main`` has all nodes in order."""
    main = node_function(graph, "main", graph.inputs, graph.outputs, graph.nodes)
    return module(graph.name, [main], module_attrs(graph))


def module_attrs(graph: Graph) -> dict[str, str]:
    """The facts of a graph that belong to no node: which nodes of the model passes folded away."""
    return {"emu.folded": strings(graph.folded)} if graph.folded else {}


def node_function(
    graph: Graph,
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    nodes: Sequence[Node],
) -> Function:
    """Return the function of some nodes; a constant that is not an input is declared where read."""
    read = (v for node in nodes for v in (*node.inputs, *node.outputs) if v)
    spelling = Spelling(graph, ssa_names((*inputs, *read, *outputs)))
    return Function(
        name=name,
        args=spelling.values(inputs),
        returned=spelling.values(outputs),
        body=tuple(_body(spelling, inputs, outputs, nodes)),
        meant=tuple(inputs),
    )


def _body(
    spelling: Spelling, inputs: Sequence[str], outputs: Sequence[str], nodes: Sequence[Node]
) -> Iterator[str]:
    declared = set(inputs)
    for node in nodes:
        yield from constants(spelling, node.inputs, declared)
        declared.update(node.inputs)
        yield _node(spelling, node)
    yield from constants(spelling, outputs, declared)


def constants(
    spelling: Spelling, values: Iterable[str], declared: Collection[str]
) -> Iterator[str]:
    """Yield the declarations of the constants among ``values`` that are not yet ``declared``."""
    for value in dict.fromkeys(values):
        if value in spelling.graph.constants and value not in declared:
            yield _constant(spelling, value, spelling.graph.constants[value])


def _constant(spelling: Spelling, value: str, constant: Constant) -> str:
    attrs = {"name": quoted(value), "key": quoted(constant.key)}
    if constant.inline is not None and constant.inline.size <= INLINE_ELEMENTS:
        attrs["value"] = f"{dense(constant.inline)} : {constant.type}"
    return operation("emu.constant", results=spelling.values([value]), attrs=attrs)


def _node(spelling: Spelling, node: Node) -> str:
    operands = spelling.values(v for v in node.inputs if v)
    results = spelling.values(node.outputs)
    attrs = attributes(node.attrs) | _facts(node, results.names)
    return operation(f"emu.{node.op}", operands, results, attrs)


def _facts(node: Node, names: Sequence[str]) -> dict[str, str]:
    facts = {"id": quoted(node.id), "source": strings(node.source)}
    if "" in node.inputs:
        facts["operand_present"] = booleans(v != "" for v in node.inputs)
    if renamed(node.outputs, names):
        facts["values"] = strings(node.outputs)
    return facts
