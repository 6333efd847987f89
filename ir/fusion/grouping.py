"""The groups of one graph while a decider merges them."""

from bisect import insort
from collections.abc import Iterable, Mapping

from emu.ir.fusion.structure import Nodes, Partition, Structure


class Grouping:
    """Groups by number, which is the position of the last node; merging changes it in place."""

    def __init__(self, structure: Structure, partition: Iterable[Nodes]) -> None:
        """Start from the groups of ``partition``."""
        self.structure = structure
        self.members: dict[int, Nodes] = {nodes[-1]: nodes for nodes in partition}
        self.owner = [0] * len(structure.classes)
        for number, nodes in self.members.items():
            for node in nodes:
                self.owner[node] = number
        self.wide = sorted((n[0], n[-1]) for n in self.members.values() if self._early(n))

    @property
    def partition(self) -> Partition:
        """The groups, in the order of their first nodes."""
        return tuple(sorted(self.members.values()))

    def merge(self, groups: Iterable[int]) -> int:
        """Make one group of several; return its number."""
        nodes = self.union(groups)
        for number in groups:
            part = self.members.pop(number)
            if self._early(part):
                self.wide.remove((part[0], part[-1]))
        self.members[nodes[-1]] = nodes
        if self._early(nodes):
            insort(self.wide, (nodes[0], nodes[-1]))
        for node in nodes:
            self.owner[node] = nodes[-1]
        return nodes[-1]

    def union(self, groups: Iterable[int]) -> Nodes:
        """The nodes of several groups."""
        return tuple(sorted(node for group in groups for node in self.members[group]))

    def groups_of(self, nodes: Iterable[int]) -> tuple[int, ...]:
        """The groups that hold ``nodes``, ascending."""
        return tuple(sorted({self.owner[node] for node in nodes}))

    def readers(self, group: int) -> set[int]:
        """The groups that read a value of ``group``."""
        read = self.structure.readers
        return {self.owner[r] for node in self.members[group] for r in read[node]} - {group}

    def makers(self, group: int) -> set[int]:
        """The groups that make what ``group`` reads."""
        made = self.structure.makers
        return {self.owner[m] for node in self.members[group] for m in made[node]} - {group}

    def ends(self, group: int) -> bool:
        """Whether a value of ``group`` is an output of the graph, or dead."""
        return any(self.structure.ends[node] for node in self.members[group])

    def acyclic(self, groups: Iterable[int]) -> bool:
        """Whether no group would have to run both before and after the union of ``groups``."""
        inside = set(groups)
        last = self._horizon(max(inside))
        todo, seen = list(inside), set(inside)
        while todo:
            here = todo.pop()
            near = self.readers(here)
            if here not in inside and near & inside:
                return False
            new = {g for g in near - seen if self.members[g][0] < last}
            todo += new
            seen |= new
        return True

    def _horizon(self, last: int) -> int:
        """The first node from ``last`` on behind which no path leads back before it.

        A group that only its last node leaves is left behind where it is entered. One that is left
        earlier, such as siblings, may be entered at its end, so none of these may span the node.
        """
        for first, end in self.wide:
            if first > last:
                break
            last = max(last, end)
        return last

    def _early(self, nodes: Nodes) -> bool:
        """Whether another group reads what a node before the last of these makes."""
        inside = frozenset(nodes)
        return any(not inside.issuperset(self.structure.readers[node]) for node in nodes[:-1])

    def saved(self, groups: Iterable[int]) -> Mapping[str, int]:
        """Bytes that no longer cross the borders of groups once ``groups`` are one.

        A group reads each input once, and writes what others or the model's outputs need.
        """
        parts = [self.members[group] for group in groups]
        apart = [self._reads(part) for part in parts]
        whole = self.union(groups)
        read = sum(map(self._size, self._reads(whole)))
        write = sum(map(self._size, self._writes(whole)))
        return {
            "write_bytes": sum(self._size(v) for p in parts for v in self._writes(p)) - write,
            "read_bytes": sum(self._size(v) for values in apart for v in values) - read,
        }

    def _size(self, value: str) -> int:
        return self.structure.graph.types[value].bytes

    def _reads(self, nodes: Nodes) -> set[str]:
        inside = [self.structure.graph.nodes[i] for i in nodes]
        made = {value for node in inside for value in node.outputs}
        return {value for node in inside for value in node.inputs if value} - made

    def _writes(self, nodes: Nodes) -> set[str]:
        graph = self.structure.graph
        ids = set(self.structure.ids(nodes))
        return {
            value
            for i in nodes
            for value in graph.nodes[i].outputs
            if value in self.structure.outputs
            or any(r.id not in ids for r in graph.readers.get(value, ()))
        }
