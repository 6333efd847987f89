"""Attention as online softmax: of the scores one tile exists at a time, and none leaves the chip.

The running maximum m, the running sum l and the unscaled result acc of each row are corrected
whenever a tile of keys has a larger score (Milakov and Gimelshein 2018, Dao et al. 2022).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

import numpy as np

from emu.ir.body import Body, BodyNode, FrozenAttrs
from emu.ir.ops import OPS, Fusion
from emu.ir.tile import WHOLE, Axis, Compute, Fill, Loop, Operand, TileProgram
from emu.ir.tiling import broadcast_axes, factors, tile_rule
from emu.ir.types import NARROW, NUMPY, TensorType, summing_dtype
from emu.kernels.builder import Builder
from emu.kernels.cutting import Cut, fit
from emu.kernels.slicing import Slices, Untileable, slices
from emu.kernels.tiling import Tiling


def matches_attention(body: Body) -> str | None:
    """Return None if a body is softmax(chain(Q K^T)) V and then a tail, else why it is not."""
    found = _parts(body)
    return found if isinstance(found, str) else None


@lru_cache(maxsize=4096)
def build_attention(body: Body, tiling: Tiling, name: str) -> TileProgram:
    """Return the online softmax of ``body``: a tile of queries stays while tiles of keys go by.

    ``tiling.tile`` is (queries,) and ``tiling.k`` the keys of a tile (0: all); batch and heads are
    cut into single ones. Raises Untileable if the body is no attention or cannot be cut so.
    """
    parts = _parts(body)
    if isinstance(parts, str):
        raise Untileable(parts)
    result = body.types[body.nodes[parts.product].out].dims
    tile = (*(1 for _ in result[:-2]), min(tiling.tile[0], result[-2]), result[-1])
    for node in body.nodes[parts.product + 1 :]:
        tile = _tile_after(body, node, tile)
    inner = replace(tiling, tile=tile, k=0)
    dims = body.types[body.nodes[-1].out].dims
    cut, found = fit(dims, inner, lambda cut: _slices(body, parts, cut))
    keys = body.types[body.nodes[parts.softmax].out].dims[-1]
    builder = _Online(body, inner, cut, found)
    builder.write(parts, Loop(keys, min(tiling.k, keys) or keys))
    return builder.program(name)


@dataclass(frozen=True)
class _Parts:
    """Positions of the node that makes the scores, the softmax, and the product with V."""

    scores: int
    softmax: int
    product: int


def _parts(body: Body) -> _Parts | str:
    """The parts of an attention, or why the body is none."""
    anchors = [i for i, n in enumerate(body.nodes) if OPS[n.op].fusion == Fusion.ANCHOR]
    softmaxes = [i for i, n in enumerate(body.nodes) if n.op == "Softmax"]
    if [body.nodes[i].op for i in anchors] != ["MatMul", "MatMul"] or len(softmaxes) != 1:
        return "attention is two MatMuls and one Softmax"
    parts = _Parts(anchors[0], softmaxes[0], anchors[1])
    if not parts.scores < parts.softmax < parts.product:
        return "the Softmax does not stand between the MatMuls"
    node = body.nodes[parts.softmax]
    rank = len(body.types[node.out].shape)
    if dict(node.attrs).get("axis", -1) not in (-1, rank - 1):
        return "the Softmax is not over the keys"
    if body.outputs != (body.nodes[-1].out,):
        return "a value inside of the attention is read elsewhere"
    return _why_not(body, parts) or parts


def _why_not(body: Body, parts: _Parts) -> str | None:
    """Why the nodes between and around the parts cannot be done tile by tile."""
    chain = _path(body, body.nodes[parts.scores].out, parts.softmax)
    scaling = _path(body, body.nodes[parts.softmax].out, parts.product)
    if chain is None or scaling is None:
        return "scores and probabilities must go from MatMul to Softmax to MatMul only"
    if any(not _keeps(body, i) for i in (*chain, *scaling)):
        return "only elementwise nodes may stand between the MatMuls and the Softmax"
    if any(not _scales(body, i) for i in scaling):
        return "probabilities may only be scaled by one number"
    before = set(range(parts.softmax)) - {parts.scores, *chain}
    after = set(range(parts.product + 1, len(body.nodes)))
    if any(OPS[body.nodes[i].op].fusion > Fusion.INJECTIVE for i in before | after):
        return "only elementwise and injective nodes may stand before or after"
    if body.nodes[parts.product].ins[1] >= body.inputs:
        return "V must come from outside"
    return None


def _path(body: Body, value: int, end: int) -> tuple[int, ...] | None:
    """The nodes that lead from a value to node ``end`` in one line, if they do."""
    path: list[int] = []
    while (reader := _only_reader(body, value)) not in (None, end):
        assert reader is not None
        if reader > end or not _alone(body, reader, value):
            return None
        path.append(reader)
        value = body.nodes[reader].out
    return None if reader is None else tuple(path)


def _only_reader(body: Body, value: int) -> int | None:
    readers = body.readers.get(value, ())
    return readers[0] if len(readers) == 1 else None


def _alone(body: Body, number: int, value: int) -> bool:
    """Whether ``value`` is the only one that a node reads which was computed inside."""
    return all(v == value or v < body.inputs for v in body.nodes[number].ins)


def _keeps(body: Body, number: int) -> bool:
    """Whether a node is elementwise on a whole score matrix: all of its size is computed inside."""
    node = body.nodes[number]
    sizes = {body.types[v].shape for v in node.ins if v >= body.inputs}
    return OPS[node.op].fusion <= Fusion.BROADCAST and sizes == {body.types[node.out].shape}


def _scales(body: Body, number: int) -> bool:
    """Whether a node multiplies or divides its first input by one number."""
    node = body.nodes[number]
    if node.op not in ("Mul", "Div") or node.ins[0] < body.inputs:
        return False
    return body.types[node.ins[1]].elements == 1


def _tile_after(body: Body, node: BodyNode, tile: tuple[int, ...]) -> tuple[int, ...]:
    """The tile of a node's output that holds what a tile of its computed input becomes."""
    source = next(v for v in node.ins if v >= body.inputs)
    before, after = body.types[source].dims, body.types[node.out].dims
    rule = tile_rule(body, node)
    if rule.op == "Transpose":
        perm = dict(rule.attrs)["perm"]
        assert isinstance(perm, tuple)
        return tuple(tile[int(d)] for d in perm)
    if rule.op != "Reshape":
        return (*(1 for _ in after[len(tile) :]), *tile)
    found: dict[int, int] = {}
    for ins, outs in factors(before, after):
        left = prod(tile[d] for d, _ in ins)
        for d, extent in reversed(outs):
            found[d] = min(extent, left)
            left = -(-left // found[d])
    return tuple(found[d] for d in range(len(after)))


def _slices(body: Body, parts: _Parts, cut: Cut) -> Slices:
    """Slices of all values: rows follow the loops of ``cut``, keys the loop that comes next."""
    keys = Axis(len(cut.loops))
    node, product = body.nodes[parts.softmax], body.nodes[parts.product]
    tail = slices(replace(body, nodes=body.nodes[parts.softmax + 1 :]), cut.axes)
    rows = tail.axes[node.out]
    if any(axis.stride != axis.window for axis in rows if axis.of is not None):
        raise Untileable("a value after the attention overlaps between tiles")
    # The probabilities and V are whole along the keys, as far as the nodes after them know.
    turned = {v: (*axes[:-1], keys) for v, axes in tail.axes.items() if v in _between(body, parts)}
    v = tail.axes[product.ins[1]]
    turned[product.ins[1]] = (*v[:-2], keys, v[-1])
    scores = replace(body, nodes=body.nodes[: parts.softmax], outputs=())
    head = slices(scores, turned[node.out])
    after = {**tail.axes, **turned}
    if any(head.axes[v] != after[v] for v in head.axes.keys() & after.keys()):
        raise Untileable("a value that attention reads twice is cut in two ways")
    softmax = tile_rule(body, node)
    return Slices({**head.axes, **after}, (*head.rules, softmax, *tail.rules))


def _between(body: Body, parts: _Parts) -> frozenset[int]:
    """The values from the softmax to the second product."""
    return frozenset(node.out for node in body.nodes[parts.softmax : parts.product])


class _Online(Builder):
    """The statements of online softmax."""

    def write(self, parts: _Parts, keys: Loop) -> None:
        """Write the whole program."""
        node, product = self.body.nodes[parts.softmax], self.body.nodes[parts.product]
        row = self.body.types[node.out]
        wide = summing_dtype(row.dtype)
        state = TensorType(wide, (*row.dims[:-1], 1))
        axes = (*self.axes[node.out][:-1], WHOLE)
        top, total, new = (self.state(state, axes) for _ in range(3))
        result = self.out_buffer(parts.product, product, depth=1)
        self.emit(Fill(top, float(np.finfo(NUMPY[wide].name).min)))
        self.emit(Fill(total, 0.0))
        self.emit(Fill(result, 0.0))
        self.open(keys)
        for number in range(parts.softmax):
            self.node(number)
        self.softmax(parts.softmax, (top, total, new), result)
        for number in range(parts.softmax + 1, parts.product):
            self.node(number)
        rule = self.rules[parts.product]
        ins = self.operands(parts.product, 2)
        self.compute(parts.product, rule, ins, result, accumulate=True)
        self.simple("Identity", (new,), top, parts.softmax)
        self.close()
        self.simple("Div", (result, total), result, parts.softmax)
        self.round_off(parts.product)
        self.store(parts.product, product.out)
        for number in range(parts.product + 1, len(self.body.nodes)):
            self.node(number)

    def softmax(self, number: int, state: tuple[int, int, int], result: int) -> None:
        """Turn scores into exponentials of what they lack to the new maximum; correct the state."""
        node = self.body.nodes[number]
        scores = self.buffer_of[node.ins[0]]
        top, total, new = state
        self.reduce("ReduceMax", scores, new, number)
        self.simple("Max", (top, new), new, number)
        self.simple("Sub", (top, new), top, number)
        self.simple("Exp", (top,), top, number)
        powers = self.powers(number, scores)
        self.simple("Sub", (scores, new), powers, number)
        self.simple("Exp", (powers,), powers, number)
        self.simple("Mul", (total, top), total, number)
        self.reduce("ReduceSum", powers, total, number, accumulate=True)
        self.simple("Mul", (result, top), result, number)
        self.buffer_of[node.out] = self.rounded(node, powers, number)

    def powers(self, number: int, scores: int) -> int:
        """The buffer of exponentials: that of the scores, unless it has too few bits for them."""
        node = self.body.nodes[number]
        type = self.body.types[node.out]
        if type.dtype not in NARROW:
            return scores
        return self.state(TensorType(summing_dtype(type.dtype), type.shape), self.axes[node.out])

    def rounded(self, node: BodyNode, powers: int, number: int) -> int:
        """The exponentials in the element type that the second product takes."""
        dtype = self.body.types[node.out].dtype
        if dtype not in NARROW:
            return powers
        out = self.add_buffer(node.out, self.axes[node.out], 1)
        mine = Operand(powers, broadcast_axes(self.dims(powers), self.dims(out)))
        self.emit(Compute("Cast", (("to", dtype),), (mine,), out, "vector", number))
        return out

    def simple(self, op: str, ins: tuple[int, ...], out: int, number: int) -> None:
        """Write an elementwise op on buffers that broadcast to ``out``."""
        dims = self.dims(out)
        operands = tuple(Operand(b, broadcast_axes(self.dims(b), dims)) for b in ins)
        self.emit(Compute(op, self.widening(ins), operands, out, "vector", number))

    def reduce(self, op: str, source: int, out: int, number: int, accumulate: bool = False) -> None:
        """Write a reduction of each row to one number."""
        axes = (*(Axis(d) for d in range(len(self.dims(out)) - 1)), WHOLE)
        attrs = (("axes", (-1,)), ("keepdims", 1), *self.widening((source,)))
        operand = Operand(source, axes)
        self.emit(Compute(op, attrs, (operand,), out, "vector", number, accumulate))

    def widening(self, ins: tuple[int, ...]) -> FrozenAttrs:
        """The attribute that keeps what is computed from narrow numbers in f32."""
        narrow = any(self.views[self.buffers[b].value].type.dtype in NARROW for b in ins)
        return (("out_dtype", "f32"),) if narrow else ()

    def dims(self, buffer: int) -> tuple[int, ...]:
        """The shape of the whole value that a buffer holds a part of."""
        return self.views[self.buffers[buffer].value].type.dims
