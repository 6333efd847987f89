"""Rewrite a graph so that every node finds its operands in the layouts that were chosen for it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from emu.ir.graph import Constant, Graph, Node
from emu.ir.layout import ROW_MAJOR
from emu.ir.passes.operand_layouts import Sides
from emu.ir.passes.rewriting import fresh, rebuilt
from emu.ir.types import TensorType


def with_layouts(graph: Graph, chosen: Mapping[str, Sides]) -> Graph:
    """Return ``graph`` with the nodes ``chosen`` (by id) in their layouts, the rest row-major.

    A value that is read in another layout than it is made in is converted once for each such
    layout, before its first reader; constants are stored as they are read. Inputs and outputs of
    the graph stay row-major.
    """
    writer = _Writer(graph, chosen)
    nodes = tuple(made for node in graph.nodes for made in writer.node(node))
    wide = replace(graph, types={**graph.types, **writer.types})
    return rebuilt(wide, nodes, writer.constants)


class _Writer:
    """The nodes so far: under which name each value can be read in each layout."""

    def __init__(self, graph: Graph, chosen: Mapping[str, Sides]) -> None:
        self.graph, self.chosen = graph, chosen
        self.types: dict[str, TensorType] = {}
        self.constants: dict[str, Constant] = {}
        self.names: dict[tuple[str, str], str] = {}

    def node(self, node: Node) -> Iterator[Node]:
        """Yield the conversions that a node needs, then the node, then those of graph outputs."""
        sides = self.chosen.get(node.id, Sides((ROW_MAJOR,) * len(node.inputs), ROW_MAJOR))
        for value, layout in zip(node.inputs, sides.ins, strict=True):
            if value and (value, layout) not in self.names:
                yield from self.read(value, layout, node)
        ins = tuple(
            self.names[v, layout] if v else ""
            for v, layout in zip(node.inputs, sides.ins, strict=True)
        )
        outs = tuple(self.made(v, sides.outs) for v in node.outputs)
        yield replace(node, inputs=ins, outputs=outs)
        for value in node.outputs:
            if value in self.graph.outputs and sides.outs != ROW_MAJOR:
                yield self.convert(value, ROW_MAJOR, node)

    def made(self, value: str, layout: str) -> str:
        """The name of a value that a node makes; a graph output has its own in row-major only."""
        if layout != ROW_MAJOR and value in self.graph.outputs:
            return self.name(value, layout)
        return self.name(value, layout, value)

    def name(self, value: str, layout: str, name: str = "") -> str:
        """Let a value in a layout have a name, a new one if none is given."""
        name = name or fresh(self.graph, f"{value}:{layout}")
        self.names[value, layout] = name
        self.types[name] = replace(self.graph.types[value], layout=layout)
        return name

    def read(self, value: str, layout: str, reader: Node) -> Iterator[Node]:
        """Make a value readable in a layout in which it is not yet."""
        if value in self.graph.constants:
            self.store(value, layout)
        elif value in self.graph.inputs and layout == ROW_MAJOR:
            self.name(value, layout, value)
        else:
            yield self.convert(value, layout, reader)

    def store(self, value: str, layout: str) -> None:
        """Have a constant in a layout; converting it before the run costs nothing."""
        name = self.name(value, layout, value if layout == ROW_MAJOR else "")
        self.constants[name] = replace(self.graph.constants[value], type=self.types[name])

    def convert(self, value: str, layout: str, near: Node) -> Node:
        """The conversion of a value; it stands for the model's nodes that ``near`` stands for."""
        source = next((name for (v, _), name in self.names.items() if v == value), value)
        ends = layout == ROW_MAJOR and value in self.graph.outputs
        name = self.name(value, layout, value if ends else "")
        id = f"{value}:{layout}"
        while id in self.graph.by_id:
            id += "'"
        return Node(id, "Relayout", (source,), (name,), {"layout": layout}, near.source)
