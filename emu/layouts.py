"""Let a graph have the layouts that a stack asks for, wherever its kernels take them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from emu.devices.device import Device
from emu.dump import Watch
from emu.ir.body import Body, body_of
from emu.ir.errors import NoKernel
from emu.ir.graph import Graph, Node
from emu.ir.layout import LAYOUTS
from emu.ir.ops import OPS, Fusion
from emu.ir.passes import Pass, run_passes
from emu.ir.passes.assign_layouts import assign_layouts
from emu.ir.passes.operand_layouts import Sides, products
from emu.kernels.library import Library

LAYOUT_PASS = "assign-layouts"


def lay_out(graph: Graph, layout: str, library: Library, chip: Device, watch: Watch) -> Graph:
    """Return ``graph`` in a layout of ``LAYOUTS``, with a Relayout where two demands meet.

    "auto" is what products need that no kernel of ``library`` takes row-major, or no matrix unit of
    the chip runs so; "nchw" nothing. Any other is for all products that a kernel takes so; raises
    NoKernel if there are products for it and no kernel takes any of them.
    """
    offer = _Offer(graph, library, chip)
    forced = layout != "auto"
    if forced:
        offer.check(layout)
    asking = frozenset(node.id for node in offer.products if forced or not offer.suits_rows(node))
    if not asking or not LAYOUTS[layout]:
        return graph
    takes = offer.takes if forced else offer.suits
    named: dict[str, Pass] = {
        LAYOUT_PASS: lambda graph: assign_layouts(graph, LAYOUTS[layout], asking, takes)
    }
    return run_passes(graph, named, watch, named)


def stored(graph: Graph, node: Node, sides: Sides) -> Body:
    """The body of one node whose values lie as ``sides`` says."""
    alone = body_of(graph, [node])
    layouts: Mapping[str, str] = {
        **dict(zip(node.inputs, sides.ins, strict=True)),
        **dict.fromkeys(node.outputs, sides.outs),
    }
    pairs = zip(alone.body.types, alone.values, strict=True)
    types = tuple(replace(type, layout=layouts[value]) for type, value in pairs)
    return replace(alone.body, types=types)


@dataclass(frozen=True)
class _Offer:
    """What the kernels of a library do with single nodes of a graph on a chip."""

    graph: Graph
    library: Library
    chip: Device

    @property
    def products(self) -> Iterator[Node]:
        """Every convolution and matrix product."""
        return (node for node in self.graph.nodes if OPS[node.op].fusion == Fusion.ANCHOR)

    def suits_rows(self, node: Node) -> bool:
        """Whether a product is computed with all values row-major as well as it can be."""
        body = self.rows(node)
        if self.chip.refusal(body) is not None:
            return True  # the host does it, whatever its layout
        return self.refusal(body) is None and not self.wanted(node)

    def suits(self, node: Node, sides: Sides) -> bool:
        """Whether a node is computed so, a product by the matrix unit that there is for it.

        Without that unit only if no kernel takes it row-major either.
        """
        wanted = self.wanted(node)
        fits = not wanted or sides.ins[0] in wanted
        return self.takes(node, sides) and (fits or self.refusal(self.rows(node)) is not None)

    def wanted(self, node: Node) -> tuple[str, ...]:
        """The layouts of its images that a matrix unit needs to run a node; none if any will do."""
        return self.chip.rates.image_layouts(node.op, self.graph.types[node.inputs[0]])

    def takes(self, node: Node, sides: Sides) -> bool:
        """Whether a node is computed with its values lying as ``sides`` says."""
        return self.refusal(stored(self.graph, node, sides)) is None

    def rows(self, node: Node) -> Body:
        """The body of one node whose values are row-major."""
        return body_of(self.graph, [node]).body

    def refusal(self, body: Body) -> str | None:
        """Why neither chip nor library computes a body, None if they do."""
        if why := self.chip.refusal(body):
            return f"{self.chip.name} refuses it: {why}"
        reasons: list[str] = []
        for kernel in self.library.kernels:
            if (why := kernel.refusal(body)) is None:
                return None
            reasons.append(f"{kernel.name} {why}")
        return "; ".join(reasons)

    def check(self, layout: str) -> None:
        """Raise NoKernel if there are products for a layout and all of them are refused."""
        refused = [
            (node, how, self.refusal(stored(self.graph, node, how)))
            for scheme in LAYOUTS[layout]
            for node, how in products(self.graph, scheme)
            if self.chip.refusal(body_of(self.graph, [node]).body) is None
        ]
        if not refused or any(why is None for _, _, why in refused):
            return
        node, how, why = refused[0]
        raise NoKernel(
            f"--layout {layout}: no kernel of library '{self.library.name}' takes node '{node.id}' "
            f"({node.op}) with data in {how.ins[0]}: {why}"
        )
