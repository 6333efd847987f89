"""Immediate post-dominators of a graph's nodes, and the widest fusion class on the way to each.

The immediate post-dominator of a node is the first node that every path from it to the end must
pass. In reverse topological order it is the lowest common ancestor, in the tree built so far, of
the node's readers. Jump pointers make one such query logarithmic in the depth of the tree (Myers,
"An applicative random-access stack", 1983), so deep graphs with long skips stay cheap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from emu.ir.fusion.wiring import Wiring

NOTHING = -1  # narrower than every fusion class: no node stands between


@dataclass(frozen=True, slots=True)
class PostDominators:
    """Per node its immediate post-dominator (None: only the end of the graph) and the way to it.

    ``widest`` is the largest fusion class strictly between the two, NOTHING if nothing is there.
    """

    parent: tuple[int | None, ...]
    widest: tuple[int, ...]


def post_dominators(wiring: Wiring, classes: Sequence[int]) -> PostDominators:
    """Return the immediate post-dominators; ``classes`` is the fusion class of each node."""
    tree = _Tree(len(classes))
    end = len(classes)
    for here in reversed(range(end)):
        targets = [*wiring.readers[here]]
        if wiring.ends[here]:
            targets.append(end)
        tree.add(here, targets, classes[here])
    parents = (None if p == end else p for p in tree.parent[:end])
    return PostDominators(tuple(parents), tuple(tree.widest[:end]))


class _Tree:
    """The post-dominator tree while it grows from its root, the end of the graph.

    ``up`` is the widest class from a node to below its parent, ``span`` to below its jump.
    """

    def __init__(self, nodes: int) -> None:
        self.parent = [nodes] * (nodes + 1)
        self.jump = [nodes] * (nodes + 1)
        self.depth = [0] * (nodes + 1)
        self.widest = [NOTHING] * (nodes + 1)
        self.up = [NOTHING] * (nodes + 1)
        self.span = [NOTHING] * (nodes + 1)

    def add(self, here: int, targets: Sequence[int], width: int) -> None:
        """Hang a leaf below the lowest common ancestor of ``targets``."""
        parent, widest = targets[0], NOTHING
        for target in targets[1:]:
            parent, between = self._meet(parent, target)
            widest = max(widest, between)
        self.parent[here] = parent
        self.depth[here] = self.depth[parent] + 1
        self.widest[here] = widest
        self.up[here] = max(width, widest)
        self._set_jump(here, parent)

    def _set_jump(self, here: int, parent: int) -> None:
        near, depth = self.jump[parent], self.depth
        far = self.jump[near]
        if depth[parent] - depth[near] == depth[near] - depth[far]:
            self.jump[here] = far
            self.span[here] = max(self.up[here], self.span[parent], self.span[near])
        else:
            self.jump[here] = parent
            self.span[here] = self.up[here]

    def _meet(self, a: int, b: int) -> tuple[int, int]:
        """The lowest common ancestor, and the widest class from both to below it."""
        if self.depth[a] < self.depth[b]:
            a, b = b, a
        a, widest = self._climb(a, self.depth[b])
        while a != b:
            if self.jump[a] != self.jump[b]:
                widest = max(widest, self.span[a], self.span[b])
                a, b = self.jump[a], self.jump[b]
            else:
                widest = max(widest, self.up[a], self.up[b])
                a, b = self.parent[a], self.parent[b]
        return a, widest

    def _climb(self, here: int, depth: int) -> tuple[int, int]:
        """The ancestor at ``depth``, and the widest class from the node to below it."""
        widest = NOTHING
        while self.depth[here] > depth:
            if self.depth[self.jump[here]] >= depth:
                widest, here = max(widest, self.span[here]), self.jump[here]
            else:
                widest, here = max(widest, self.up[here]), self.parent[here]
        return here, widest
