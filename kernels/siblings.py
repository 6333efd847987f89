"""Siblings: independent groups of equal shape as one launch, which loads what they share once.

Q, K and V projections are the example: three products of one input. Each sibling has a lead, its
product or else its last node; the loops cut the outputs of all leads alike, whatever transposes and
reshapes follow each, and one loop over the reduction feeds all products.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from emu.ir.body import Body, BodyNode
from emu.ir.machine import Machine
from emu.ir.ops import OPS, Fusion
from emu.ir.tile import Axes, Loop, TileProgram
from emu.ir.tile_rule import TileRule
from emu.kernels.builder import Builder
from emu.kernels.cutting import Cut, fit
from emu.kernels.menus import anchors, pointwise_menu, product_menu
from emu.kernels.slicing import Slices, Untileable, axes_after, join_axes, slices
from emu.kernels.tiling import Tiling


@dataclass(frozen=True)
class Sibling:
    """One of several independent parts of a body: its nodes in order, and which one leads."""

    nodes: tuple[int, ...]
    lead: int
    product: bool


def matches_siblings(body: Body) -> str | None:
    """Return None if a body is several independent parts that can be cut alike, else why not."""
    found = siblings(body)
    return found if isinstance(found, str) else None


@lru_cache(maxsize=4096)
def siblings(body: Body) -> tuple[Sibling, ...] | str:
    """The siblings of a body in the order of their first nodes, or why it has none."""
    parts = independent(body)
    if len(parts) < 2:
        return "all nodes depend on each other"
    if opaque := next((n.op for n in body.nodes if OPS[n.op].fusion == Fusion.OPAQUE), None):
        return f"{opaque} is opaque"
    leads = [[i for i in part if i in anchors(body)] for part in parts]
    if any(len(found) > 1 for found in leads):
        return "a sibling has several products"
    if len({bool(found) for found in leads}) > 1:
        return "some siblings have a product and some have none"
    found = tuple(
        Sibling(part, lead[0] if lead else part[-1], bool(lead))
        for part, lead in zip(parts, leads, strict=True)
    )
    return _unlike(body, found) or found


def independent(body: Body) -> list[tuple[int, ...]]:
    """The positions of nodes that depend on each other through values computed inside, by part."""
    part_of = list(range(len(body.nodes)))
    for i, node in enumerate(body.nodes):
        for value in node.ins:
            if value in body.producer:
                old, new = part_of[i], part_of[body.producer[value]]
                part_of = [new if part == old else part for part in part_of]
    parts: dict[int, list[int]] = {}
    for i, part in enumerate(part_of):
        parts.setdefault(part, []).append(i)
    return [tuple(part) for part in parts.values()]


def _unlike(body: Body, found: tuple[Sibling, ...]) -> str | None:
    """Why the leads of siblings cannot be cut by the same loops."""
    leads = [body.nodes[s.lead] for s in found]
    shapes = dict.fromkeys(body.types[node.out].dims for node in leads)
    if len(shapes) > 1:
        sizes = " and ".join("x".join(map(str, dims)) for dims in shapes)
        return f"siblings make different shapes: {sizes}"
    ops = dict.fromkeys(node.op for node in leads)
    return f"siblings compute {' and '.join(ops)}" if len(ops) > 1 else None


def sibling_menu(body: Body, machine: Machine, length: int) -> Iterator[Tiling]:
    """Tilings of siblings: those of the first lead alone, whose output they cut."""
    found = siblings(body)
    if isinstance(found, str):
        return
    lead = body.nodes[found[0].lead]
    menu = product_menu if found[0].product else pointwise_menu
    yield from menu(replace(body, nodes=(lead,), outputs=(lead.out,)), machine, length)


@lru_cache(maxsize=4096)
def build_siblings(body: Body, tiling: Tiling, name: str) -> TileProgram:
    """Return one program for all siblings; ``tiling.tile`` cuts the output of each lead.

    Raises Untileable if the body has no siblings, or what follows a lead is not parted like it.
    """
    found = siblings(body)
    if isinstance(found, str):
        raise Untileable(found)
    dims = body.types[body.nodes[found[0].lead].out].dims
    cut, sliced = fit(dims, tiling, lambda cut: _slices(body, found, cut))
    builder = _Together(body, tiling, cut, sliced, frozenset(s.lead for s in found))
    builder.write(found)
    return builder.program(name)


def _slices(body: Body, found: Sequence[Sibling], cut: Cut) -> Slices:
    """The slices of all siblings; what several read is loaded as far as any of them needs it."""
    axes: dict[int, Axes] = {}
    rules: dict[int, TileRule] = {}
    for sibling in found:
        mine = _slices_of(body, sibling, cut)
        for value, need in mine.axes.items():
            axes[value] = need if value not in axes else join_axes(axes[value], need)
        rules.update(zip(sibling.nodes, mine.rules, strict=True))
    return Slices(axes, tuple(rules[i] for i in range(len(body.nodes))))


def _slices_of(body: Body, sibling: Sibling, cut: Cut) -> Slices:
    """The slices of one sibling, whose lead is cut by the loops of ``cut``."""
    nodes = tuple(body.nodes[i] for i in sibling.nodes)
    made = {node.out for node in nodes}
    alone = replace(body, nodes=nodes, outputs=tuple(v for v in body.outputs if v in made))
    lead = body.nodes[sibling.lead].out
    found = slices(alone, _sink(alone, lead, cut.axes))
    for want, have in zip(cut.axes, found.axes[lead], strict=True):
        if want != have:
            loop = have.of if want.of is None else want.of
            raise Untileable("siblings would be cut in different ways", loop)
    return found


def _sink(alone: Body, lead: int, axes: Axes) -> Axes:
    """How the last output of a sibling is cut when its lead is cut by ``axes``."""
    known: dict[int, Axes] = {lead: axes}
    for node in alone.nodes[alone.producer[lead] + 1 :]:
        if (value := _followed(node, known)) is not None:
            known[node.out] = axes_after(alone, node, value, known[value])
    if alone.nodes[-1].out not in known:
        raise Untileable("a sibling does not end with what follows from its product")
    return known[alone.nodes[-1].out]


def _followed(node: BodyNode, known: Mapping[int, Axes]) -> int | None:
    """The first value that a node reads whose cut is known."""
    return next((value for value in node.ins if value in known), None)


class _Together(Builder):
    """The statements of siblings: all products in one loop, then what follows each of them."""

    def __init__(
        self, body: Body, tiling: Tiling, cut: Cut, found: Slices, leads: frozenset[int]
    ) -> None:
        """Start a program in which the nodes ``leads`` go through their reductions together."""
        super().__init__(body, tiling, cut, found)
        self.leads = leads

    def write(self, found: Sequence[Sibling]) -> None:
        """Write the whole program."""
        together = self.together()
        if together is None:
            self.leads = frozenset[int]()  # each goes through its own reduction
            for sibling in found:
                self.nodes(sibling.nodes)
            return
        for sibling in found:
            self.nodes(i for i in sibling.nodes if i < sibling.lead)
        self.products([s.lead for s in found], together)
        for sibling in found:
            self.finish(sibling.lead)
            self.nodes(i for i in sibling.nodes if i > sibling.lead)

    def nodes(self, numbers: Iterator[int] | Sequence[int]) -> None:
        """Write nodes one after the other."""
        for number in numbers:
            self.node(number)

    def products(self, leads: Sequence[int], reduction: Loop) -> None:
        """Sum all products in one loop over their reductions; what they share is loaded once."""
        sums = [self.start(lead) for lead in leads]
        loop = self.open(reduction)
        for lead, out in zip(leads, sums, strict=True):
            self.add_slice(lead, loop, out)
        self.close()

    def together(self) -> Loop | None:
        """The loop that the reductions of all leads have in common."""
        loops = {self.reduction(self.body.nodes[i], self.rules[i]) for i in self.leads}
        return loops.pop() if len(loops) == 1 else None

    def read_apart(self, value: int) -> bool:
        """Whether a node other than the leads reads a value, or they reduce it differently."""
        readers = self.body.readers[value]
        if not self.leads.issuperset(readers):
            return super().read_apart(value)
        return len({self.reduced(reader, value) for reader in readers}) > 1

    def reduced(self, number: int, value: int) -> tuple[int, ...]:
        """The dimensions of a value that a lead reduces."""
        node, rule = self.body.nodes[number], self.rules[number]
        return tuple(d for position, d in rule.reduced if node.ins[position] == value)
