"""The cheapest way to part a network in two: shortest augmenting paths (Edmonds and Karp 1972)."""

from collections import deque
from collections.abc import Hashable, Mapping
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


def source_side(arcs: Mapping[tuple[N, N], int], source: N, sink: N) -> frozenset[N]:
    """Return the nodes on the side of ``source`` in a cut of least capacity, the fewest of them.

    ``arcs`` are capacities by (from, to); an arc is cut if it leads from that side to the other.
    """
    left: dict[N, dict[N, int]] = {source: {}, sink: {}}
    for (a, b), capacity in arcs.items():
        left.setdefault(a, {})[b] = capacity + left.get(a, {}).get(b, 0)
        left.setdefault(b, {}).setdefault(a, 0)
    while sink in (before := _reached(left, source, sink)):
        _push(left, before, sink)
    return frozenset(before)


def _reached(left: Mapping[N, Mapping[N, int]], source: N, sink: N) -> dict[N, N]:
    """Every node that can be reached and the one before it, as far as the sink; breadth first."""
    before = {source: source}
    queue = deque([source])
    while queue and sink not in before:
        node = queue.popleft()
        for other, capacity in left[node].items():
            if capacity and other not in before:
                before[other] = node
                queue.append(other)
    return before


def _push(left: Mapping[N, dict[N, int]], before: Mapping[N, N], sink: N) -> None:
    """Fill the path that was found."""
    path: list[tuple[N, N]] = []
    node = sink
    while before[node] != node:
        path.append((before[node], node))
        node = before[node]
    most = min(left[a][b] for a, b in path)
    for a, b in path:
        left[a][b] -= most
        left[b][a] += most
