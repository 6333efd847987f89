"""Cut a whole group by cutting its last output: slices of all other values follow backwards."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd

from emu.ir.body import ABSENT, Body, BodyNode
from emu.ir.tile import WHOLE, Axes, Axis
from emu.ir.tile_rule import TileRule
from emu.ir.tiling import tile_rule


class Untileable(Exception):
    """A group cannot be cut as asked.

    ``loop`` is the loop that cannot be; steps that are multiples of ``granule`` would do (0: none).
    """

    def __init__(self, why: str, loop: int | None = None, granule: int = 0) -> None:
        """Say why, which loop is at fault, and which multiple of its step would work."""
        super().__init__(why)
        self.loop = loop
        self.granule = granule


@dataclass(frozen=True)
class Slices:
    """The axes (of loops) of every value of a body, and the tile rule of every node."""

    axes: Mapping[int, Axes]
    rules: tuple[TileRule, ...]


def slices(body: Body, sink: Axes) -> Slices:
    """Return the slices that follow when the output of the last node is cut by ``sink``.

    Raises Untileable if a node does not lead to the last one, or cannot be cut so.
    """
    axes: dict[int, Axes] = {body.nodes[-1].out: sink}
    rules: list[TileRule] = []
    for node in reversed(body.nodes):
        if len(node.outs) > 1:
            raise Untileable(f"{node.op} has several outputs")
        if node.out not in axes:
            raise Untileable(f"{node.op} does not lead to the last node of the group")
        rule = tile_rule(body, node)
        rules.append(rule)
        mine = axes[node.out]
        _check_whole(node.op, rule, mine)
        for value, relation in zip(node.ins, rule.ins, strict=True):
            if value == ABSENT or relation is None:
                continue
            need = tuple(_compose(mine, r) for r in relation)
            if value >= body.inputs:
                need = tuple(map(_contiguous, need))
            axes[value] = need if value not in axes else join_axes(axes[value], need)
    _check_outputs(body, axes)
    return Slices(axes, tuple(reversed(rules)))


def axes_after(body: Body, node: BodyNode, value: int, axes: Axes) -> Axes:
    """Return how a node's output is cut when ``value``, which it reads, is cut by ``axes``.

    ``axes`` part the value. Raises Untileable where the same loops would not part the output.
    """
    relation = tile_rule(body, node).ins[node.ins.index(value)]
    assert relation is not None
    out = [WHOLE] * len(body.types[node.out].shape)
    for need, have in zip(relation, axes, strict=True):
        if have.of is None:
            continue
        if need.of is None or need.offset or need.window != need.stride:
            raise Untileable(f"{node.op} does not keep the parts of what it reads", have.of)
        out[need.of] = _ahead(need, have)
    return tuple(out)


def _ahead(need: Axis, have: Axis) -> Axis:
    """The axis, of a loop, of an output dimension whose image under ``need`` is to be ``have``."""
    stride = have.stride * need.divide
    if stride % need.stride:
        granule = need.stride // gcd(stride, need.stride)
        raise Untileable(f"a reshape needs steps of {granule}", have.of, granule)
    stride //= need.stride
    return Axis(have.of, stride, 0, stride)


def _check_whole(op: str, rule: TileRule, axes: Axes) -> None:
    for d in rule.whole:
        if axes[d].of is not None:
            raise Untileable(f"{op} cannot be cut along dimension {d}", axes[d].of)


def _compose(out: Axes, relation: Axis) -> Axis:
    """The axis, of a loop, of an input dimension that follows an output dimension."""
    if relation.of is None or out[relation.of].of is None:
        return WHOLE
    base = out[relation.of]
    stride = base.stride * relation.stride
    offset = base.offset * relation.stride + relation.offset
    window = (base.window - 1) * relation.stride + relation.window
    d = relation.divide
    if stride % d or offset % d or window % d:
        granule = d // gcd(d, base.stride)
        raise Untileable(f"a reshape needs steps of {granule}", base.of, granule)
    return Axis(base.of, stride // d, offset // d, window // d)


def _contiguous(axis: Axis) -> Axis:
    """What is computed has no holes, even if a strided reader skips elements."""
    return axis if axis.step == 1 else replace(axis, window=axis.stride)


def join_axes(a: Axes, b: Axes) -> Axes:
    """Slices that contain both."""
    return tuple(_hull(x, y) for x, y in zip(a, b, strict=True))


def _hull(a: Axis, b: Axis) -> Axis:
    if a == b:
        return a
    if a.of != b.of or a.of is None or a.stride != b.stride:
        loop = b.of if a.of is None else a.of
        raise Untileable("two readers of one value cut it differently", loop)
    start = min(a.offset, b.offset)
    stop = max(a.offset + a.window, b.offset + b.window)
    return Axis(a.of, a.stride, start, stop - start)


def _check_outputs(body: Body, axes: Mapping[int, Axes]) -> None:
    """Every output must be cut by all loops, into parts that cover it and do not overlap."""
    sink = body.nodes[-1].out
    extents = {
        axis.of: extent // axis.stride
        for axis, extent in zip(axes[sink], body.types[sink].dims, strict=True)
        if axis.of is not None
    }
    for value in body.outputs:
        dims = body.types[value].dims
        whole = {
            axis.of
            for axis, extent in zip(axes[value], dims, strict=True)
            if axis.of is not None and _partitions(axis, extents[axis.of], extent)
        }
        if repeated := extents.keys() - whole:
            why = f"value {value} leaves the group, but its tiles do not part it"
            raise Untileable(why, min(repeated))


def _partitions(axis: Axis, loop_extent: int, extent: int) -> bool:
    """Whether the images of disjoint intervals that cover a loop do the same to a dimension."""
    return axis.window == axis.stride and axis.image(0, loop_extent) == (0, extent)
