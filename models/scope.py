"""Where nodes of a graph, a branch, a trip or a function body find the values that they name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

GRAPH = 5  # AttributeProto.AttributeType of a subgraph


def domain_of(name: str) -> str:
    """Return a domain as opset tables have it: ONNX's own is "", also where it is spelt out."""
    return "" if name == "ai.onnx" else name


@dataclass
class Scope:
    """The names of one graph, branch, trip or call, and the values that they stand for.

    Values defined inside get ``prefix`` before their names, which makes them unlike any other;
    ``home`` is the same for all trips. What a branch or a trip does not define is looked up in
    ``outer``; a function body has none. ``source`` is the node of the model that all nodes inside
    stand for, if that is not each itself, and ``attrs`` are those of a call, which nodes inside may
    refer to.
    """

    opsets: Mapping[str, int]
    used: frozenset[str]  # names that are read here
    later: frozenset[str]  # names that are defined here, somewhere
    prefix: str = ""
    home: str = ""
    outer: "Scope | None" = None
    source: str | None = None
    attrs: "Mapping[str, onnx.AttributeProto]" = field(default_factory=lambda: {})
    names: dict[str, str] = field(default_factory=lambda: {})
    depth: int = 0

    def find(self, name: str) -> str:
        """The value that a name stands for; one of its own that nothing has, if it is unknown."""
        scope: Scope | None = self
        while scope is not None and name:
            if name in scope.names:
                return scope.names[name]
            if not scope.prefix:
                return name
            scope = scope.outer
        return self.prefix + name if name else ""

    def define(self, name: str) -> str:
        """The value that a name stands for from now on."""
        if not self.prefix or not name:
            return name
        return self.names.setdefault(name, self.prefix + name)

    @cached_property
    def used_values(self) -> frozenset[str]:
        """The values of this graph that something in it reads."""
        return frozenset(self.names.get(name, self.prefix + name) for name in self.used)

    def resolved(self, node: "onnx.NodeProto") -> "onnx.NodeProto":
        """Return a node with values in place of names, and attributes in place of references."""
        if not self.prefix:
            return node
        from onnx import NodeProto

        made = NodeProto(op_type=node.op_type, domain=node.domain, name=node.name)
        made.overload = node.overload
        made.input.extend(map(self.find, node.input))
        made.output.extend(map(self.define, node.output))
        made.attribute.extend(self._attributes(node))
        return made

    def _attributes(self, node: "onnx.NodeProto") -> "Iterator[onnx.AttributeProto]":
        """What refers to an attribute that the call leaves out is left out as well."""
        for attr in node.attribute:
            if not attr.ref_attr_name:
                yield attr
            elif attr.ref_attr_name in self.attrs:
                found = type(attr)()
                found.CopyFrom(self.attrs[attr.ref_attr_name])
                found.name = attr.name
                yield found


def scope_of(graph: "onnx.GraphProto", opsets: Mapping[str, int]) -> Scope:
    """Return the scope of a model's own graph."""
    return Scope(opsets, reads(graph.node, graph.output), makes(graph.node))


def inner_scope(
    graph: "onnx.GraphProto", outer: Scope, home: str, prefix: str, names: Mapping[str, str]
) -> Scope:
    """Return the scope of a branch or a trip, whose inputs stand for the values of ``names``."""
    return Scope(
        opsets=outer.opsets,
        used=reads(graph.node, graph.output),
        later=makes(graph.node),
        prefix=prefix,
        home=home,
        outer=outer,
        source=outer.source,
        attrs=outer.attrs,
        names=dict(names),
        depth=outer.depth + 1,
    )


def reads(
    nodes: "Iterable[onnx.NodeProto]", outputs: "Iterable[onnx.ValueInfoProto]" = ()
) -> frozenset[str]:
    """Return the names that nodes, their subgraphs and a graph's outputs read."""
    return frozenset(chain((value.name for value in outputs), *map(_reads, nodes)))


def makes(nodes: "Iterable[onnx.NodeProto]") -> frozenset[str]:
    """Return the names that nodes define."""
    return frozenset(chain.from_iterable(node.output for node in nodes))


def _reads(node: "onnx.NodeProto") -> Iterator[str]:
    yield from node.input
    for graph in (a.g for a in node.attribute if a.type == GRAPH):
        yield from reads(graph.node, graph.output)
