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
from emu.ir.tile_rule import TileRule
from emu.ir.types import NARROW, TensorType, summing_dtype
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
        self.reductions = 0  # products that are summed up slice by slice
        # A tile of a grid ends when its results are stored, so none waits beside the next one's.
        self.result_versions = tiling.depth if tiling.cores else 1

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
            split=self.tiling.split if not self.tiling.cores and self.reductions == 1 else "",
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
        if (reduction := self.reduction(node, rule)) is None:
            ins = self.operands(number, 2 if _splits_bias(node) else len(node.ins))
            self.compute(number, rule, ins, self.out_buffer(number, node))
        else:
            self.product(number, reduction)
        self.finish(number)

    def finish(self, number: int) -> None:
        """Add the bias of a node that has one to come, and store what leaves the group."""
        node = self.body.nodes[number]
        if _splits_bias(node):
            self.bias(number)
        self.round_off(number)
        self.store(number, node.out)

    def store(self, number: int, value: int) -> None:
        """Store a value if it leaves the group."""
        if value in self.body.outputs:
            self.emit(Store(self.buffer_of[value], value, number))

    def product(self, number: int, reduction: Loop) -> None:
        """Sum an anchor's product over the slices of its reduction."""
        out = self.start(number)
        loop = self.open(reduction)
        self.add_slice(number, loop, out)
        self.close()

    def start(self, number: int) -> int:
        """Make room for the sum of an anchor's product, which is zero; return the buffer."""
        out = self.out_buffer(number, self.body.nodes[number])
        self.emit(Fill(out, 0.0))
        return out

    def add_slice(self, number: int, loop: int, out: int) -> None:
        """Add the product of the slices that the open ``loop`` over the reduction is at."""
        node, rule = self.body.nodes[number], self.rules[number]
        self.reductions += 1
        for position, d in rule.reduced:
            axes = self.axes[node.ins[position]]
            self.axes[node.ins[position]] = (*axes[:d], Axis(loop), *axes[d + 1 :])
        self.compute(number, rule, self.operands(number, 2), out, accumulate=True)

    def reduction(self, node: BodyNode, rule: TileRule) -> Loop | None:
        """The loop over the reduction of an anchor, if both of its operands are loaded for it."""
        if not rule.reduced or not self.tiling.k or max(node.ins[:2]) >= self.body.inputs:
            return None
        value, dim = node.ins[rule.reduced[0][0]], rule.reduced[0][1]
        extent = self.body.types[value].dims[dim]
        joined = any(v != ABSENT for v in node.ins[2:]) and not _splits_bias(node)
        read_twice = any(self.read_apart(v) for v in node.ins[:2])
        if extent <= self.tiling.k or joined or read_twice or node.ins[0] == node.ins[1]:
            return None
        return Loop(extent, self.tiling.k)

    def read_apart(self, value: int) -> bool:
        """Whether nodes that do not go through a reduction together read a value."""
        return len(self.body.readers[value]) > 1

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
        narrow = is_narrow_product(self.body, self.body.nodes[number])
        attrs = (*rule.attrs, ("out_dtype", "f32")) if narrow else rule.attrs
        self.emit(Compute(rule.op, attrs, tuple(ins), out, kind, number, accumulate))

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

    def out_buffer(self, number: int, node: BodyNode, depth: int = 0) -> int:
        """The buffer of a node's output: its first operand's own, where nobody else needs that.

        The sums of a narrow product have one in more bits. ``depth`` 0 is that of results.
        """
        source, depth = node.ins[0], depth or self.result_versions
        if self.may_overwrite(number, node, source):
            self.buffer_of[node.out] = self.buffer_of[source]
            return self.buffer_of[source]
        if is_narrow_product(self.body, node):
            type = self.body.types[node.out]
            wide = TensorType(summing_dtype(type.dtype), type.shape)
            self.buffer_of[node.out] = self.state(wide, self.axes[node.out], depth)
            return self.buffer_of[node.out]
        return self.add_buffer(node.out, self.axes[node.out], depth)

    def state(self, type: TensorType, axes: Axes, depth: int = 1) -> int:
        """Make room for numbers that the body does not have; return the number of the buffer."""
        self.views.append(View(type, "local", None))
        self.buffers.append(Buffer(len(self.views) - 1, axes, depth))
        return len(self.buffers) - 1

    def round_off(self, number: int) -> None:
        """Round the sums of a narrow product, bias included, to the element type of the node."""
        node = self.body.nodes[number]
        sums = self.buffer_of[node.out]
        if not is_narrow_product(self.body, node):
            return
        type = self.body.types[node.out]
        mine = Operand(sums, tuple(Axis(d) for d in range(len(type.shape))))
        out = self.add_buffer(node.out, self.axes[node.out], self.result_versions)
        self.emit(Compute("Cast", (("to", type.dtype),), (mine,), out, "vector", number))

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


def is_narrow_product(body: Body, node: BodyNode) -> bool:
    """Whether a node is an anchor whose sums are kept in more bits than its result has."""
    return OPS[node.op].fusion == Fusion.ANCHOR and body.types[node.out].dtype in NARROW


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
