"""Every grouping of a small graph that a scope allows, from the last group to the first.

The group of the last node that has none yet is chosen next. Legal groups that hang together have
one exit, so each is found by growing upwards from it through nodes all of whose readers are inside;
siblings are legal vertical groups side by side.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.space import Space
from emu.ir.fusion.structure import Nodes, Partition, Structure
from emu.ir.graph import Graph

Left: TypeAlias = frozenset[int]  # positions of nodes that are in no group yet


def groupings(space: Space, scope: str, worth: Callable[[Partition], bool]) -> Iterator[Partition]:
    """Yield each partition into legal groups of ``scope`` that can run in some order, once.

    ``worth`` is asked about the last groups of some, before the others are chosen; where it says
    no, none of the groupings that end in these groups is visited.
    """
    left = frozenset(range(len(space.graph.nodes)))
    yield from _with(space, scope, worth, (), left)


def _with(
    space: Space, scope: str, worth: Callable[[Partition], bool], done: Partition, left: Left
) -> Iterator[Partition]:
    if not left:
        if runnable(space.structure, done):
            yield done
        return
    for group in groups_ending(space, scope, max(left), left):
        grown = (*done, group)
        rest = left.difference(group)
        if not rest or worth(grown):
            yield from _with(space, scope, worth, grown, rest)


def groups_ending(space: Space, scope: str, last: int, left: Left) -> Iterator[Nodes]:
    """Every legal group of ``scope`` among the nodes ``left`` whose last node is ``last``."""
    for nodes in _grown(space.structure, (last,), left):
        if not space.legal(scope, nodes):
            yield nodes
        if not space.legal("vertical", nodes):
            yield from _beside(space, scope, (nodes,), left.difference(nodes))


def _grown(structure: Structure, inside: Nodes, left: Left) -> Iterator[Nodes]:
    """All sets with the exit ``inside[-1]``; nodes are added in descending order, so each once."""
    yield inside
    makers = set(chain.from_iterable(structure.makers[i] for i in inside))
    for node in sorted(makers & left, reverse=True):
        private = not structure.ends[node] and set(inside).issuperset(structure.readers[node])
        if node < inside[0] and private:
            yield from _grown(structure, (node, *inside), left)


def _beside(space: Space, scope: str, parts: Partition, left: Left) -> Iterator[Nodes]:
    """Unions of ``parts`` with vertical groups whose exits come before that of the last part."""
    for last in sorted((i for i in left if i < parts[-1][-1]), reverse=True):
        for nodes in _grown(space.structure, (last,), left):
            more = (*parts, nodes)
            union = tuple(sorted(chain.from_iterable(more)))
            apart = len(space.structure.components(union)) == len(more)
            if apart and not space.legal(scope, union):
                yield union
                yield from _beside(space, scope, more, left.difference(nodes))


def runnable(structure: Structure, partition: Partition) -> bool:
    """Whether no groups wait for each other in a circle; groups of one exit never do."""
    grouping = Grouping(structure, partition)
    wide = (nodes for nodes in partition if len(structure.components(nodes)) > 1)
    return all(grouping.acyclic((nodes[-1],)) for nodes in wide)


def tail_of(graph: Graph, nodes: Nodes) -> Graph | None:
    """The graph of some nodes alone, what they read being its inputs; None if others read them.

    Dropping what came before can only make a launch start earlier, since queues are in order, and
    groups keep their bodies and their order. So a run of the tail is never longer than the whole.
    """
    inside = [graph.nodes[i] for i in nodes]
    ids = {node.id for node in inside}
    made = dict.fromkeys(value for node in inside for value in node.outputs)
    if any(reader.id not in ids for value in made for reader in graph.readers.get(value, ())):
        return None
    read = dict.fromkeys(v for node in inside for v in node.inputs if v)
    inputs = tuple(v for v in read if v not in made and v not in graph.constants)
    outputs = tuple(v for v in graph.outputs if v in made)
    return replace(graph, nodes=tuple(inside), inputs=inputs, outputs=outputs)
