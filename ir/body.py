"""A group seen from inside: nodes over numbered values, no names, so that equal groups hash."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from emu.ir.graph import Attr, Attrs, Graph, Node
from emu.ir.types import TensorType

FrozenAttrs: TypeAlias = tuple[tuple[str, Attr], ...]
ABSENT = -1


@dataclass(frozen=True, slots=True)
class BodyNode:
    """One node; values are positions in the types of its body, ABSENT for an optional input."""

    op: str
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    attrs: FrozenAttrs = ()

    @property
    def out(self) -> int:
        """The first output."""
        return self.outs[0]


@dataclass(frozen=True)
class Body:
    """A group of nodes as one function of its inputs, in order; the key of every cache.

    Values 0 to len(inputs)-1 are the inputs. ``weights`` are the inputs that are constants of the
    model, ``outputs`` the values that leave the group.
    """

    nodes: tuple[BodyNode, ...]
    types: tuple[TensorType, ...]
    inputs: int
    weights: frozenset[int]
    outputs: tuple[int, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.nodes, self.types, self.inputs, self.weights, self.outputs))

    @cached_property
    def producer(self) -> dict[int, int]:
        """Position of the node that defines each computed value."""
        return {v: i for i, node in enumerate(self.nodes) for v in node.outs}

    @cached_property
    def readers(self) -> dict[int, tuple[int, ...]]:
        """Positions of the nodes that read each value."""
        found: dict[int, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for value in dict.fromkeys(v for v in node.ins if v != ABSENT):
                found.setdefault(value, []).append(i)
        return {value: tuple(nodes) for value, nodes in found.items()}


@dataclass(frozen=True)
class BodyOf:
    """A body with the names that its positions have in the graph."""

    body: Body
    values: tuple[str, ...]
    nodes: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values that enter."""
        return self.values[: self.body.inputs]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values that leave."""
        return tuple(self.values[i] for i in self.body.outputs)


def freeze(attrs: Attrs) -> FrozenAttrs:
    """Return attributes as a sorted tuple that hashes."""
    return tuple(sorted(attrs.items()))


def body_of(graph: Graph, nodes: Sequence[Node]) -> BodyOf:
    """Return the body of ``nodes`` (in graph order) and the names of its values."""
    made = {value for node in nodes for value in node.outputs}
    inputs = dict.fromkeys(v for n in nodes for v in n.inputs if v and v not in made)
    names = (*inputs, *(value for node in nodes for value in node.outputs))
    number = {name: i for i, name in enumerate(names)} | {"": ABSENT}
    inside = {node.id for node in nodes}
    checked = {v for node in nodes if node.has_occurred for v in node.outputs}
    leaves = [v for v in names if v in checked or (v in made and _leaves(graph, v, inside))]
    body = Body(
        nodes=tuple(
            BodyNode(
                n.op,
                tuple(number[v] for v in n.inputs),
                tuple(number[v] for v in n.outputs),
                freeze(n.attrs),
            )
            for n in nodes
        ),
        types=tuple(graph.types[name] for name in names),
        inputs=len(inputs),
        weights=frozenset(number[v] for v in inputs if v in graph.constants),
        outputs=tuple(number[v] for v in leaves),
    )
    return BodyOf(body, names, tuple(node.id for node in nodes))


def _leaves(graph: Graph, value: str, inside: set[str]) -> bool:
    readers = graph.readers.get(value, ())
    return value in graph.outputs or any(reader.id not in inside for reader in readers)
