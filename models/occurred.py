"""The values that some inputs give to a graph while it grows: the shapes that occurred."""

from collections.abc import Mapping, Sequence
from typing import Any

from emu.ir.graph import Constant, Node
from emu.ir.interpret import run_node
from emu.ir.ops import find_op
from emu.ir.types import TensorType
from emu.models.limits import Limits


class Occurred:
    """Values of a growing graph for some inputs; each is computed once, when it is asked for."""

    def __init__(
        self,
        inputs: Mapping[str, Any],
        constants: Mapping[str, Constant],
        nodes: Sequence[Node],
        types: Mapping[str, TensorType],
        limits: Limits,
    ) -> None:
        """Take the inputs, and constants, nodes and types of the graph, which may still grow."""
        self.inputs, self.constants, self.nodes, self.types = inputs, constants, nodes, types
        self.limits = limits
        self.values: dict[str, Any] = {}
        self.producer: dict[str, Node] = {}
        self.seen = self.operations = 0

    def value(self, name: str) -> Any:
        """Return the value of a name; raises OverLimit if it takes too much to compute."""
        for node in self.nodes[self.seen :]:
            self.producer.update(dict.fromkeys(node.outputs, node))
        self.seen = len(self.nodes)
        waiting = [name]
        while waiting:
            missing = self._missing(waiting[-1])
            if missing:
                waiting += missing
            else:
                self._compute(waiting.pop())
        return self._known(name)

    def _missing(self, name: str) -> list[str]:
        """What has to be computed before a value can be."""
        if self._is_known(name):
            return []
        return [v for v in self.producer[name].inputs if v and not self._is_known(v)]

    def _compute(self, name: str) -> None:
        if self._is_known(name):
            return
        node = self.producer[name]
        self._count(node)
        found = run_node(node, [self._known(v) if v else None for v in node.inputs])
        self.values.update(zip(node.outputs, found, strict=True))

    def _count(self, node: Node) -> None:
        """Count the operations of a node before they are done."""
        ins = [self.types[v] if v else None for v in node.inputs]
        work = find_op(node.op, node.id).work(
            ins, [self.types[v] for v in node.outputs], node.attrs
        )
        self.operations += work.flops + work.transcendentals
        what = "operations with those before it, to know the shapes that occur"
        self.limits.check("operations", self.operations, f"node '{node.id}' ({node.op})", what)

    def _is_known(self, name: str) -> bool:
        return name in self.values or name in self.inputs or name in self.constants

    def _known(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        return self.constants[name].load() if name in self.constants else self.inputs[name]
