"""Tree patterns over a graph: exact shapes of nodes, with captured values and known constants.

``relu = node("Relu", node("Conv"))`` is a Conv whose only reader is a Relu; ``match`` looks for the
tree with its root at one node. A pattern that names a value twice asks for the same value twice,
and a sub-pattern that stands twice may match one node twice (x - mean(x) in a LayerNorm).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isclose
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from emu.ir.graph import NO_ATTRS, Attr, Attrs, Constant, Graph, Node
from emu.ir.types import NARROW, narrowed

SCALAR_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Known:
    """A leaf: a constant that ``accepts`` says yes to; ``name`` captures its value."""

    accepts: Callable[[Constant], bool]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A node of ``op`` whose inputs match ``args`` in order; no args means any inputs.

    An arg is a sub-pattern, a constant (Known), or a name that captures any value. ``commutative``
    also tries the two args swapped. ``attrs`` must be present on the node with equal values.
    ``name`` captures the node's first output.
    """

    op: str
    args: "tuple[Arg, ...]" = ()
    attrs: Attrs = field(default_factory=lambda: NO_ATTRS)
    commutative: bool = False
    name: str = ""


Arg: TypeAlias = str | Known | Pattern


@dataclass(frozen=True)
class Match:
    """Where a pattern was found: ids of its nodes in graph order (the root is last), and values."""

    nodes: tuple[str, ...]
    values: Mapping[str, str]


def node(op: str, *args: Arg, commutative: bool = False, name: str = "", **attrs: Attr) -> Pattern:
    """Return the pattern of a node of ``op``; keywords beyond the named ones are attributes."""
    return Pattern(op, args, MappingProxyType(attrs), commutative, name)


def scalar(value: float, name: str = "") -> Known:
    """Return the leaf that matches a one-element constant equal to ``value`` (to 1e-6).

    Where the constant is a narrow real number, that is ``value`` rounded as it is.
    """
    return Known(lambda constant: _near(constant.scalar, _stored(value, constant)), name)


def any_scalar(name: str = "") -> Known:
    """Return the leaf that matches every constant of one known element."""
    return Known(lambda constant: constant.scalar is not None, name)


def match(pattern: Pattern, root: Node, graph: Graph) -> Match | None:
    """Return the first match of ``pattern`` with its root at ``root``, or None.

    Values inside the match are read by nothing outside of it and are no outputs of the graph.
    """
    for found in _at_node(pattern, root, graph, _Found()):
        if _closed(found.nodes, root, graph):
            inside = sorted(found.nodes, key=graph.position.__getitem__)
            return Match(tuple(inside), found.values)
    return None


def _stored(value: float, constant: Constant) -> float:
    dtype = constant.type.dtype
    return float(narrowed(np.asarray(value, np.float32), dtype)) if dtype in NARROW else value


def _near(number: float | None, value: float) -> bool:
    return number is not None and isclose(
        number, value, rel_tol=SCALAR_TOLERANCE, abs_tol=SCALAR_TOLERANCE
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What a partial match holds; alternatives branch from it, so it is never changed."""

    nodes: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def bind(self, name: str, value: str) -> "_Found | None":
        """Return this with ``name`` for ``value``, or None if the name is another value's."""
        if not name:
            return self
        if self.values.get(name, value) != value:
            return None
        return _Found(self.nodes, MappingProxyType({**self.values, name: value}))


def _at_node(pattern: Pattern, here: Node, graph: Graph, found: _Found) -> Iterator[_Found]:
    if here.op != pattern.op or any(here.attrs.get(k) != v for k, v in pattern.attrs.items()):
        return
    bound = found.bind(pattern.name, here.output)
    if bound is None:
        return
    with_node = _Found(bound.nodes | {here.id}, bound.values)
    if not pattern.args:
        yield with_node
        return
    for args in _orders(pattern):
        if len(args) == len(here.inputs):
            yield from _at_inputs(args, here.inputs, graph, with_node)


def _orders(pattern: Pattern) -> tuple[tuple[Arg, ...], ...]:
    if not pattern.commutative:
        return (pattern.args,)
    return pattern.args, pattern.args[::-1]


def _at_inputs(
    args: tuple[Arg, ...], values: tuple[str, ...], graph: Graph, found: _Found
) -> Iterator[_Found]:
    if not args:
        yield found
        return
    for first in _at_value(args[0], values[0], graph, found):
        yield from _at_inputs(args[1:], values[1:], graph, first)


def _at_value(arg: Arg, value: str, graph: Graph, found: _Found) -> Iterator[_Found]:
    if isinstance(arg, Pattern):
        producer = graph.producer.get(value)
        if producer is not None and producer.output == value:
            yield from _at_node(arg, producer, graph, found)
        return
    if isinstance(arg, Known) and not _accepts(arg, value, graph):
        return
    bound = found.bind(arg if isinstance(arg, str) else arg.name, value)
    if bound is not None:
        yield bound


def _accepts(leaf: Known, value: str, graph: Graph) -> bool:
    constant = graph.constants.get(value)
    return constant is not None and leaf.accepts(constant)


def _closed(nodes: frozenset[str], root: Node, graph: Graph) -> bool:
    """Say whether nothing outside reads a value of the match but the root's."""
    inner = (graph.by_id[n] for n in nodes if n != root.id)
    return all(_stays(value, nodes, graph) for n in inner for value in n.outputs)


def _stays(value: str, nodes: frozenset[str], graph: Graph) -> bool:
    readers = graph.readers.get(value, ())
    return value not in graph.outputs and all(r.id in nodes for r in readers)
