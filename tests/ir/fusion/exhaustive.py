"""All groupings of a small graph, the slow way: every partition of its nodes, then the rules."""

from collections.abc import Iterator

from emu.ir.errors import VerifyError
from emu.ir.fusion.cut import cut
from emu.ir.fusion.space import Space
from emu.ir.graph import Graph
from emu.ir.group import Fused


def every_partition(nodes: list[int]) -> Iterator[list[list[int]]]:
    """All partitions of a set, by where its first element goes."""
    if not nodes:
        yield []
        return
    for rest in every_partition(nodes[1:]):
        yield [[nodes[0]], *rest]
        for i, group in enumerate(rest):
            yield [*rest[:i], [nodes[0], *group], *rest[i + 1 :]]


def every_grouping(graph: Graph, scope: str) -> Iterator[Fused]:
    """All partitions whose groups are legal and can run in some order."""
    space = Space(graph)
    for groups in every_partition(list(range(len(graph.nodes)))):
        if any(space.legal(scope, group) for group in groups):
            continue
        try:
            yield cut(graph, scope, groups, ())
        except VerifyError:
            continue
