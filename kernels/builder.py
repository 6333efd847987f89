"""Write a tile program statement by statement, with loads where their slices change last."""

from collections.abc import Sequence

from emu.ir.body import ABSENT, Body, BodyNode
from emu.ir.ops import OPS, Fusion
from emu.ir.tile import (
    Axes,
    Axis,
    Buffer,
    Compute,
    Fill,
    Load,
    Loop,
    Nest,
    Operand,
    Step,
    Store,
    TileProgram,
    View,
)
from emu.ir.tiling import TileRule
from emu.kernels.cutting import Cut
from emu.kernels.slicing import Slices
from emu.kernels.tiling import Tiling


class Builder:
    """One program under construction: a nest of loops, and perhaps one more loop that is open."""

    def __init__(self, body: Body, tiling: Tiling, cut: Cut, found: Slices) -> None:
        """Start the program of a body whose values are cut as ``found`` says."""
        self.body = body
        self.tiling = tiling
        self.rules = found.rules
        self.axes = dict(found.axes)
        self.loops = list(cut.loops)
        self.nest = cut.nest
        self.views = list(views_of(body))
        self.buffers: list[Buffer] = []
        self.buffer_of: dict[int, int] = {}
        self.placed: list[tuple[int, Step]] = []  # how many loops of the nest stand around it
        self.inside: tuple[int, list[Step]] | None = None  # the open loop and what it repeats

    def program(self, name: str) -> TileProgram:
        """Return what was written."""
        return TileProgram(
            name=name,
            views=tuple(self.views),
            loops=tuple(self.loops),
            buffers=tuple(self.buffers),
            steps=self.steps(0),
            threads=self.tiling.threads,
            load_width_bytes=self.tiling.load_width_bytes,
        )

    def steps(self, depth: int) -> tuple[Step, ...]:
        """What stands inside of ``depth`` loops: first what is placed there, then the next loop."""
        here = [step for d, step in self.placed if d == depth]
        if depth == len(self.nest):
            return tuple(here)
        return (*here, Nest(self.nest[depth], self.steps(depth + 1)))

    def open(self, loop: Loop) -> int:
        """Start a sequential loop inside of the whole nest; return its number."""
        self.loops.append(loop)
        self.inside = (len(self.loops) - 1, [])
        return len(self.loops) - 1

    def close(self) -> None:
        """End the open loop."""
        assert self.inside is not None
        number, body = self.inside
        self.inside = None
        self.emit(Nest(number, tuple(body)))

    def emit(self, step: Step) -> None:
        """Write a step into the innermost loop."""
        if self.inside is not None:
            self.inside[1].append(step)
        else:
            self.placed.append((len(self.nest), step))

    def node(self, number: int) -> None:
        """Load what a node reads, compute it, and store it if it leaves the group."""
        node, rule = self.body.nodes[number], self.rules[number]
        product = 2 if _splits_bias(node) else len(node.ins)
        if (reduction := self.reduction(node, rule)) is None:
            ins = self.operands(number, product)
            self.compute(number, rule, ins, self.out_buffer(number, node))
        else:
            self.product(number, reduction)
        if product < len(node.ins):
            self.bias(number)
        self.store(number, node.out)

    def store(self, number: int, value: int) -> None:
        """Store a value if it leaves the group."""
        if value in self.body.outputs:
            self.emit(Store(self.buffer_of[value], value, number))

    def product(self, number: int, reduction: Loop) -> None:
        """Sum an anchor's product over the slices of its reduction."""
        node, rule = self.body.nodes[number], self.rules[number]
        out = self.out_buffer(number, node)
        self.emit(Fill(out, 0.0))
        loop = self.open(reduction)
        for position, d in rule.reduced:
            axes = self.axes[node.ins[position]]
            self.axes[node.ins[position]] = (*axes[:d], Axis(loop), *axes[d + 1 :])
        self.compute(number, rule, self.operands(number, 2), out, accumulate=True)
        self.close()

    def reduction(self, node: BodyNode, rule: TileRule) -> Loop | None:
        """The loop over the reduction of an anchor, if both of its operands are loaded for it."""
        if not rule.reduced or not self.tiling.k or max(node.ins[:2]) >= self.body.inputs:
            return None
        value, dim = node.ins[rule.reduced[0][0]], rule.reduced[0][1]
        extent = self.body.types[value].dims[dim]
        joined = any(v != ABSENT for v in node.ins[2:]) and not _splits_bias(node)
        read_twice = any(len(self.body.readers[v]) > 1 for v in node.ins[:2])
        if extent <= self.tiling.k or joined or read_twice or node.ins[0] == node.ins[1]:
            return None
        return Loop(extent, self.tiling.k)

    def bias(self, number: int) -> None:
        """Add the third input of an anchor on the vector unit."""
        node, rule = self.body.nodes[number], self.rules[number]
        rank = len(self.body.types[node.out].shape)
        out = self.buffer_of[node.out]
        mine = Operand(out, tuple(Axis(d) for d in range(rank)))
        added = self.operand(number, node.ins[2], rule.ins[2], 0.0)
        op, attrs = ("Add", ()) if node.op == "Gemm" else ("BiasAdd", (("axis", 1),))
        self.emit(Compute(op, attrs, (mine, added), out, "vector", number))

    def compute(
        self,
        number: int,
        rule: TileRule,
        ins: Sequence[Operand | None],
        out: int,
        accumulate: bool = False,
    ) -> None:
        """Write the op of a rule, charged to node ``number``."""
        kind = "matrix" if OPS[rule.op].fusion == Fusion.ANCHOR else "vector"
        self.emit(Compute(rule.op, rule.attrs, tuple(ins), out, kind, number, accumulate))

    def operands(self, number: int, count: int) -> list[Operand | None]:
        """The first ``count`` operands of a node."""
        node, rule = self.body.nodes[number], self.rules[number]
        pairs = zip(node.ins[:count], rule.ins[:count], strict=True)
        return [self.operand(number, value, axes, rule.fill) for value, axes in pairs]

    def operand(self, number: int, value: int, axes: Axes | None, fill: float) -> Operand | None:
        """An operand that reads a value, which is loaded first if nothing has yet."""
        if value == ABSENT or axes is None:
            return None
        if value not in self.buffer_of:
            self.load(number, value)
        return Operand(self.buffer_of[value], axes, fill)

    def load(self, number: int, value: int) -> None:
        """Load an input inside of the innermost loop that its slice follows, and no deeper."""
        follows = {axis.of for axis in self.axes[value]}
        parallel = sum(1 for i in self.nest if self.loops[i].parallel)
        depth = max([parallel, *(d + 1 for d, i in enumerate(self.nest) if i in follows)])
        in_open = self.inside is not None and self.inside[0] in follows
        versions = self.tiling.depth if in_open or depth > parallel else 1
        load = Load(self.add_buffer(value, self.axes[value], versions), number)
        if in_open:
            self.emit(load)
        else:
            self.placed.append((depth, load))

    def out_buffer(self, number: int, node: BodyNode) -> int:
        """The buffer of a node's output: its first operand's own, where nobody else needs that."""
        source = node.ins[0]
        if self.may_overwrite(number, node, source):
            self.buffer_of[node.out] = self.buffer_of[source]
            return self.buffer_of[source]
        return self.add_buffer(node.out, self.axes[node.out], self.tiling.depth)

    def may_overwrite(self, number: int, node: BodyNode, source: int) -> bool:
        """Whether an elementwise node can compute in place."""
        if OPS[node.op].fusion > Fusion.BROADCAST or source < self.body.inputs:
            return False
        same = self.body.types[source] == self.body.types[node.out]
        last = self.body.readers[source][-1] == number and node.ins.count(source) == 1
        return same and last and self.axes[source] == self.axes[node.out]

    def add_buffer(self, value: int, axes: Axes, depth: int) -> int:
        """Make room for a value; return the number of the buffer."""
        self.buffers.append(Buffer(value, axes, depth))
        self.buffer_of[value] = len(self.buffers) - 1
        return len(self.buffers) - 1


def views_of(body: Body) -> tuple[View, ...]:
    """The values of a body as a program sees them, in order and in their own shapes."""
    return tuple(View(type, _role(body, v), v) for v, type in enumerate(body.types))


def _role(body: Body, value: int) -> str:
    if value in body.weights:
        return "weight"
    if value < body.inputs:
        return "input"
    return "output" if value in body.outputs else "local"


def _splits_bias(node: BodyNode) -> bool:
    """Whether the third input of an anchor can be added after the product."""
    if node.op not in ("Conv", "ConvTranspose", "Gemm") or len(node.ins) < 3:
        return False
    return node.ins[2] != ABSENT and dict(node.attrs).get("beta", 1.0) == 1.0
