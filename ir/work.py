"""How the work of a statement follows from the shapes of its tile."""

from collections.abc import Sequence

from emu.ir.body import ABSENT, Body, BodyNode, FrozenAttrs
from emu.ir.ops import OPS, Work
from emu.ir.types import TensorType

Shape = tuple[int, ...]
CONVS = ("Conv", "ConvInteger")


def tile_attrs(op: str, attrs: FrozenAttrs, ins: Sequence[Shape], out: Shape) -> FrozenAttrs:
    """Return the attributes that an op has on a tile: target shapes and groups follow the tile."""
    if op in ("Reshape", "Expand"):
        return (("shape", out),)
    if op in CONVS:
        groups = ins[0][1] // ins[1][1]
        return tuple((k, groups if k == "group" else v) for k, v in attrs)
    return attrs


def tile_work(
    op: str, attrs: FrozenAttrs, ins: Sequence[TensorType | None], out: TensorType
) -> Work:
    """Return the work of an op on a tile with operands and result of these types."""
    return OPS[op].work(ins, (out,), dict(tile_attrs(op, attrs, shapes(ins), out.dims)))


def node_work(body: Body, node: BodyNode) -> Work:
    """Return the work of a whole node."""
    ins = [None if value == ABSENT else body.types[value] for value in node.ins]
    return OPS[node.op].work(ins, [body.types[value] for value in node.outs], dict(node.attrs))


def whole_work(body: Body) -> Work:
    """Return the work of all nodes of a body."""
    return sum((node_work(body, node) for node in body.nodes), Work())


def shapes(types: Sequence[TensorType | None]) -> list[Shape]:
    """Return the shapes of operands, () for an absent one."""
    return [() if t is None else t.dims for t in types]


def gemm_shape(op: str, ins: Sequence[Shape], out: Shape) -> tuple[int, int, int, int]:
    """Return (batch, M, N, K) of the matrix products that an anchor on tiles of these shapes is.

    A conv is an implicit product of [N*OH*OW, C/g*kh*kw] and [C/g*kh*kw, O/g], once a group.
    """
    if op in CONVS:
        groups = ins[0][1] // ins[1][1]
        k = 1
        for extent in ins[1][1:]:
            k *= extent
        m = out[0]
        for extent in out[2:]:
            m *= extent
        return groups, m, out[1] // groups, k
    if op == "ConvTranspose":
        return _transposed(ins, out)
    out = _as_matrices(ins, out)
    batch = 1
    for extent in out[:-2]:
        batch *= extent
    k = ins[0][-1] if op != "Gemm" else ins[0][0] * ins[0][1] // out[-2]
    return batch, out[-2], out[-1], k


def _as_matrices(ins: Sequence[Shape], out: Shape) -> Shape:
    """The result with M and N where an operand is a vector: a row on the left, else a column."""
    rows = (*out[:-1], 1, *out[-1:]) if len(ins[0]) == 1 and len(ins[1]) > 1 else out
    if len(ins[1]) != 1:
        return rows
    return (1, 1) if len(ins[0]) == 1 else (*out, 1)


def _transposed(ins: Sequence[Shape], out: Shape) -> tuple[int, int, int, int]:
    """A transposed conv multiplies every input pixel [C] by [C, O/g*kh*kw] and scatters."""
    m, n = ins[0][0], out[1]
    for extent in ins[0][2:]:
        m *= extent
    for extent in ins[1][2:]:
        n *= extent
    return 1, m, n, ins[0][1]
