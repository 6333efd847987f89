"""The graph: typed single-assignment values and the nodes that define them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TypeAlias

from emu.ir.errors import VerifyError
from emu.ir.types import Array, TensorType

Attr: TypeAlias = int | float | str | tuple[int, ...] | tuple[float, ...]
Attrs: TypeAlias = Mapping[str, Attr]
NO_ATTRS: Attrs = MappingProxyType({})


@dataclass(frozen=True)
class Constant:
    """A value known before the run. Equal keys promise equal contents; ``load`` makes them.

    ``inline`` holds the contents of small constants of the model text (scalars, masks, indices);
    it is None for weights, which nothing may load while a run only prices shapes.
    """

    type: TensorType
    key: str
    load: Callable[[], Array] = field(compare=False, repr=False)
    inline: Array | None = field(default=None, compare=False, repr=False)

    @property
    def scalar(self) -> float | None:
        """The number of a known one-element constant, else None."""
        if self.inline is None or self.inline.size != 1:
            return None
        return float(self.inline.reshape(()))


@dataclass(frozen=True)
class Node:
    """One operation, ``outputs = op(inputs) {attrs}``; an absent optional input is ``""``.

    ``id`` is unique in the graph. ``source`` holds the ids of the model's own nodes that this node
    stands for; passes keep them, so that every picosecond can be traced back to the model.
    """

    id: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Attrs = field(default_factory=lambda: NO_ATTRS)
    source: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """The first output."""
        return self.outputs[0]

    @property
    def has_occurred(self) -> bool:
        """Whether it is as in one run, which it checks: its results count although none is read."""
        return bool(self.attrs.get("occurred", 0))

    def __str__(self) -> str:
        attrs = ", ".join(f"{k} = {v}" for k, v in sorted(self.attrs.items()))
        left = ", ".join(f"%{o}" for o in self.outputs)
        right = ", ".join(f"%{i}" for i in self.inputs if i)
        return f"{left} = {self.op}({right})" + (f" {{{attrs}}}" if attrs else "")


@dataclass(frozen=True)
class Graph:
    """A function of tensors; nodes stand in an order in which each value is defined before use.

    ``types`` has every value, constants included. ``folded`` are ids of model nodes that a pass
    removed without a successor; they stay known, with no charge.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    types: Mapping[str, TensorType]
    constants: Mapping[str, Constant]
    folded: tuple[str, ...] = ()

    @cached_property
    def producer(self) -> Mapping[str, Node]:
        """The node that defines each computed value."""
        return {value: node for node in self.nodes for value in node.outputs}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value, in order; absent if none does."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(v for v in node.inputs if v):
                found.setdefault(value, []).append(node)
        return {value: tuple(nodes) for value, nodes in found.items()}

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """Every node by its id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Where each node stands, by its id."""
        return {node.id: i for i, node in enumerate(self.nodes)}

    def verify(self) -> "Graph":
        """Return the graph; raise VerifyError, with the node quoted, if an invariant is broken."""
        known = {*self.inputs, *self.constants}
        ids: set[str] = set()
        for node in self.nodes:
            self._verify_node(node, known, ids)
            known.update(node.outputs)
            ids.add(node.id)
        for value in self.outputs:
            if value not in known:
                raise VerifyError(f"{self.name}: output %{value} is never defined")
        for value in known:
            if value not in self.types:
                raise VerifyError(f"{self.name}: %{value} has no type")
        return self

    def _verify_node(self, node: Node, known: set[str], ids: set[str]) -> None:
        why = _why_wrong(node, known, ids)
        if why is not None:
            raise VerifyError(f"{self.name}: node '{node.id}' ({node}): {why}")


def _why_wrong(node: Node, known: set[str], ids: set[str]) -> str | None:
    if node.id in ids:
        return "the id is used twice"
    if not node.source:
        return "has lost its source"
    for value in node.inputs:
        if value and value not in known:
            return f"%{value} is used before it is defined"
    for value in node.outputs:
        if value in known:
            return f"%{value} is defined twice"
    return None
