"""Cut a graph into groups: inputs, outputs, order and names follow from the sets of nodes alone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush

from emu.ir.errors import VerifyError
from emu.ir.graph import Graph, Node
from emu.ir.group import Decision, Fused, Group

NAMED_OPS = 4


def cut(
    graph: Graph, scope: str, members: Iterable[Sequence[int]], decisions: Iterable[Decision]
) -> Fused:
    """Return the groups whose nodes stand at the given positions of ``graph``, in a runnable order.

    Of the groups that could run next the one with the earliest last node does. Raises VerifyError
    if groups need each other's values in a circle.
    """
    outputs = frozenset(graph.outputs)
    groups = tuple(
        _group(graph, [graph.nodes[i] for i in m], outputs, number)
        for number, m in enumerate(_in_order(graph, [sorted(m) for m in members]))
    )
    return Fused(graph, scope, groups, tuple(decisions))


def _in_order(graph: Graph, members: Iterable[list[int]]) -> Iterator[list[int]]:
    groups = {m[-1]: m for m in members}
    owner = {graph.nodes[i].id: last for last, m in groups.items() for i in m}
    readers = {last: _readers(graph, m, owner) - {last} for last, m in groups.items()}
    waits = Counter(reader for found in readers.values() for reader in found)
    ready = [last for last in groups if not waits[last]]
    heapify(ready)
    left = len(groups)
    while ready:
        here = heappop(ready)
        yield groups[here]
        left -= 1
        for reader in readers[here]:
            waits[reader] -= 1
            if not waits[reader]:
                heappush(ready, reader)
    if left:
        raise VerifyError(f"{graph.name}: {left} groups need each other's values in a circle")


def _readers(graph: Graph, nodes: Sequence[int], owner: Mapping[str, int]) -> set[int]:
    made = (value for i in nodes for value in graph.nodes[i].outputs)
    return {owner[reader.id] for value in made for reader in graph.readers.get(value, ())}


def _group(graph: Graph, nodes: Sequence[Node], ends: frozenset[str], number: int) -> Group:
    inside = frozenset(node.id for node in nodes)
    made = dict.fromkeys(v for node in nodes for v in node.outputs)
    checked = {v for node in nodes if node.has_occurred for v in node.outputs}
    return Group(
        name=f"{_name(nodes)}.{number}",
        nodes=tuple(node.id for node in nodes),
        inputs=tuple(dict.fromkeys(v for n in nodes for v in n.inputs if v and v not in made)),
        outputs=tuple(v for v in made if v in ends | checked or _leaves(graph, v, inside)),
    )


def _leaves(graph: Graph, value: str, inside: frozenset[str]) -> bool:
    return any(reader.id not in inside for reader in graph.readers.get(value, ()))


def _name(nodes: Sequence[Node]) -> str:
    ops = list(_without_repeats(node.op.lower() for node in nodes))
    shown = ops if len(ops) <= NAMED_OPS else [*ops[: NAMED_OPS - 2], "..", ops[-1]]
    return "+".join(shown)


def _without_repeats(ops: Iterable[str]) -> Iterator[str]:
    last = ""
    for op in ops:
        if op != last:
            yield op
        last = op


def saved_bytes(graph: Graph, values: Iterable[str]) -> dict[str, int]:
    """Bytes that stay on chip when ``values`` do: one write each, and one read by each reader."""
    write = read = 0
    for value in values:
        size = graph.types[value].bytes
        write += size
        read += size * len(graph.readers.get(value, ()))
    return {"write_bytes": write, "read_bytes": read}
