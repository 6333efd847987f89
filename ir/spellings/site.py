"""A spelling: another way to write the same mathematics, and the places of a graph that it fits."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from emu.ir.graph import Constant, Graph, Node
from emu.ir.passes.infer_types import infer_types
from emu.ir.passes.rewriting import rebuilt

NO_CONSTANTS: Mapping[str, Constant] = MappingProxyType({})


@dataclass(frozen=True)
class Site:
    """One place where a spelling fits: ``nodes`` take the place of the first or last of ``gone``.

    ``gone`` are ids in graph order. What is read outside of them keeps its name.
    """

    gone: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant] = field(default_factory=lambda: NO_CONSTANTS)
    first: bool = False

    @property
    def at(self) -> str:
        """The node whose place the new ones take."""
        return self.gone[0 if self.first else -1]


Find: TypeAlias = Callable[[Graph, Node], Site | None]


@dataclass(frozen=True)
class Spelling:
    """A name, what it does in a few words, and how to find a site that ends at a given node."""

    name: str
    about: str
    find: Find


@dataclass(frozen=True)
class Respelled:
    """A graph in another spelling, and the sites at which it differs."""

    graph: Graph
    sites: tuple[Site, ...]


def respell(graph: Graph, spelling: Spelling, touching: str = "") -> Respelled:
    """Return ``graph`` with the spelling at every site, each node in one site at most.

    With ``touching``, only at sites with a node that stands for this node of the model.
    """
    sites = tuple(_apart(graph, spelling, touching))
    gone = {id for site in sites for id in site.gone}
    new = {site.at: site.nodes for site in sites}
    nodes = [n for old in graph.nodes for n in _instead(old, new, gone)]
    constants = {name: c for site in sites for name, c in site.constants.items()}
    declared = replace(graph, types={**graph.types, **{n: c.type for n, c in constants.items()}})
    return Respelled(infer_types(rebuilt(declared, nodes, constants)).verify(), sites)


def _apart(graph: Graph, spelling: Spelling, touching: str) -> Iterator[Site]:
    """The sites in graph order that share no node with one before them."""
    taken: set[str] = set()
    for node in graph.nodes:
        site = spelling.find(graph, node)
        if site is None or taken.intersection(site.gone):
            continue
        if touching and not any(touching in graph.by_id[id].source for id in site.gone):
            continue
        taken.update(site.gone)
        yield site


def _instead(old: Node, new: Mapping[str, tuple[Node, ...]], gone: set[str]) -> tuple[Node, ...]:
    return new.get(old.id, () if old.id in gone else (old,))


def inner(graph: Graph, value: str, op: str = "") -> Node | None:
    """Return the node that makes ``value`` for one reader only, if it is an ``op``; else None."""
    node = graph.producer.get(value)
    if node is None or (op and node.op != op) or len(node.outputs) != 1:
        return None
    private = value not in graph.outputs and len(graph.readers[value]) == 1
    return node if private else None


def fresh_id(graph: Graph, node: Node, what: str) -> str:
    """Return an id for a node beside ``node`` that no node of the graph has."""
    id = f"{node.id}#{what}"
    while id in graph.by_id:
        id += "'"
    return id
