"""How a tile of an op's output determines the slices of its inputs: one rule per kind of op."""

from math import prod
from typing import TypeAlias, cast

import numpy as np

from emu.ir.body import ABSENT, Body, BodyNode, FrozenAttrs
from emu.ir.ops import OPS, Fusion
from emu.ir.ops.pooling import lowest
from emu.ir.place_rules import PLACE_RULES
from emu.ir.tile import WHOLE, Axes, Axis
from emu.ir.tile_rule import Case, Rule, TileRule, computed_whole
from emu.ir.types import NUMPY

Extents: TypeAlias = list[tuple[int, int]]  # (dimension, extent)


def tile_rule(body: Body, node: BodyNode) -> TileRule:
    """Return the tile rule of a node; an op without a rule of its own is computed whole."""
    ins = tuple(None if v == ABSENT else body.types[v] for v in node.ins)
    case = Case(node, ins, body.types[node.out])
    if rule := RULES.get(node.op):
        return rule(case)
    if OPS[node.op].fusion <= Fusion.BROADCAST:
        return _pointwise(case)
    return computed_whole(case)


def _pointwise(case: Case) -> TileRule:
    ins = tuple(None if t is None else broadcast_axes(t.dims, case.out.dims) for t in case.ins)
    return TileRule(case.node.op, case.node.attrs, ins)


def broadcast_axes(shape: tuple[int, ...], out: tuple[int, ...]) -> Axes:
    """Axes of an input that numpy's rules stretch to ``out``."""
    skipped = len(out) - len(shape)
    return tuple(
        WHOLE if extent == 1 and out[d + skipped] != 1 else Axis(d + skipped)
        for d, extent in enumerate(shape)
    )


def _channelwise(case: Case) -> TileRule:
    """BatchNormalization and BiasAdd: the first input as it is, the others along one axis."""
    axis = case.integer("axis", 1) % len(case.out.shape)
    first = tuple(Axis(d) for d in range(len(case.out.shape)))
    others = ((Axis(axis),) for _ in case.ins[1:])
    return TileRule(case.node.op, case.node.attrs, (first, *others))


def _scaled(case: Case) -> TileRule:
    """The last input is a scale: one number, or one for each place along ``axis``."""
    rank = len(case.out.shape)
    pointwise = tuple(Axis(d) for d in range(rank))
    scale = (Axis(case.integer("axis", 1) % rank),) if case.shape(len(case.ins) - 1) else ()
    ins = (*(pointwise for _ in case.ins[1:]), scale)
    return TileRule(case.node.op, case.node.attrs, ins)


def _transpose(case: Case) -> TileRule:
    perm = case.integers("perm", tuple(reversed(range(len(case.out.shape)))))
    axes = [WHOLE] * len(perm)
    for d, source in enumerate(perm):
        axes[source] = Axis(d)
    return TileRule("Transpose", (("perm", perm),), (tuple(axes),))


def _relayout(case: Case) -> TileRule:
    axes = tuple(Axis(d) for d in range(len(case.out.shape)))
    return TileRule("Identity", (), (axes,))


def _reshape(case: Case) -> TileRule:
    """Cut both shapes into runs of equal product; in a run only the outermost dimension is cut."""
    axes: list[Axis] = []
    whole: set[int] = set()
    for ins, outs in factors(case.shape(0), case.out.dims):
        lead = next((d for d, extent in outs if extent != 1), None)
        if lead is None or (_several(ins) and _several(outs)):
            axes += [WHOLE] * len(ins)
            whole.update(d for d, extent in outs if extent != 1)
            continue
        whole.update(d for d, extent in outs if d != lead and extent != 1)
        axes += _lead_axes(ins, outs, lead)
    return TileRule("Reshape", (), (tuple(axes),), whole=frozenset(whole))


def _several(dims: Extents) -> bool:
    return sum(extent != 1 for _, extent in dims) > 1


def _lead_axes(ins: Extents, outs: Extents, lead: int) -> list[Axis]:
    """Axes of one run of input dimensions whose output leads with dimension ``lead``."""
    inner_out = prod(e for d, e in outs if d > lead)
    first = next(i for i, (_, extent) in enumerate(ins) if extent != 1)
    inner_in = prod(e for _, e in ins[first + 1 :])
    mine = Axis(lead, inner_out, 0, inner_out) if inner_out > 1 else Axis(lead, divide=inner_in)
    return [mine if i == first else WHOLE for i in range(len(ins))]


def factors(a: tuple[int, ...], b: tuple[int, ...]) -> list[tuple[Extents, Extents]]:
    """Pair the shortest runs of dimensions of ``a`` and ``b`` that have equal products."""
    pairs: list[tuple[Extents, Extents]] = []
    i = j = 0
    while i < len(a) or j < len(b):
        ins, outs = list(range(i, min(i + 1, len(a)))), list(range(j, min(j + 1, len(b))))
        while (pa := prod(a[k] for k in ins)) != (pb := prod(b[k] for k in outs)):
            if pa < pb:
                ins.append(ins[-1] + 1 if ins else i)
            else:
                outs.append(outs[-1] + 1 if outs else j)
        i, j = i + len(ins), j + len(outs)
        pairs.append(([(k, a[k]) for k in ins], [(k, b[k]) for k in outs]))
    return pairs


def _slice(case: Case) -> TileRule:
    rank = len(case.out.shape)
    starts = case.integers("starts", ())
    axes = case.integers("axes", ()) or tuple(range(len(starts)))
    strides = case.integers("steps", ()) or (1,) * len(starts)
    found = [Axis(d) for d in range(rank)]
    for start, axis, stride in zip(starts, axes, strides, strict=True):
        if stride < 1:
            return computed_whole(case)
        extent = case.shape(0)[axis]
        first = max(0, start + extent if start < 0 else min(start, extent))
        found[axis % rank] = Axis(axis % rank, stride, first)
    return TileRule("Identity", (), (tuple(found),))


def _pad(case: Case) -> TileRule:
    pads = case.integers("pads", ())
    rank = len(case.out.shape)
    if case.attrs.get("mode", "constant") != "constant" or any(p < 0 for p in pads):
        return computed_whole(case)
    axes = tuple(Axis(d, offset=-pads[d]) for d in range(rank))
    return TileRule("Identity", (), (axes,), fill=float(cast(float, case.attrs.get("value", 0.0))))


def _reduce(case: Case) -> TileRule:
    rank = len(case.shape(0))
    reduced = {a % rank for a in case.integers("axes", ()) or range(rank)}
    kept = iter(range(len(case.out.shape)))
    axes: list[Axis] = []
    for d in range(rank):
        if d in reduced:
            axes.append(WHOLE)
            if case.integer("keepdims", 1):
                next(kept)
        else:
            axes.append(Axis(next(kept)))
    return TileRule(case.node.op, case.node.attrs, (tuple(axes),))


def _along(case: Case) -> TileRule:
    """Softmax and normalisations over the last dimensions: rows are whole."""
    rank = len(case.out.shape)
    axis = case.integer("axis", -1) % rank
    last = (axis,) if case.node.op != "LayerNormalization" else tuple(range(axis, rank))
    first = tuple(Axis(d) for d in range(rank))
    others = ((WHOLE,) * len(t.shape) if t is not None else None for t in case.ins[1:])
    return TileRule(case.node.op, case.node.attrs, (first, *others), whole=frozenset(last))


def _global_pool(case: Case) -> TileRule:
    spatial = (WHOLE,) * (len(case.out.shape) - 2)
    return TileRule(case.node.op, case.node.attrs, ((Axis(0), Axis(1), *spatial),))


def _windows(case: Case, kernel: tuple[int, ...]) -> tuple[Axes, FrozenAttrs]:
    """Axes of the spatial dimensions, and attributes without padding for a tile that has it."""
    n = len(kernel)
    strides, dilations = case.integers("strides", (1,) * n), case.integers("dilations", (1,) * n)
    pads = case.integers("pads", (0,) * 2 * n)
    windows = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    axes = tuple(Axis(2 + i, strides[i], -pads[i], windows[i]) for i in range(n))
    # A slice with window 1 takes only every stride-th element, so the tile itself has stride 1.
    inner = tuple(1 if axis.step > 1 else axis.stride for axis in axes)
    fixed = dict(case.node.attrs) | {"pads": (0,) * 2 * n, "strides": inner, "ceil_mode": 0}
    if "ceil_mode" not in case.attrs:
        del fixed["ceil_mode"]
    return axes, tuple(sorted(fixed.items()))


def _pool(case: Case) -> TileRule:
    axes, attrs = _windows(case, case.integers("kernel_shape", ()))
    pads = any(case.integers("pads", (0,)))
    uneven = case.node.op == "AveragePool" and (pads or case.integer("ceil_mode", 0))
    cut_by_step = pads and any(axis.step > 1 for axis in axes)
    if len(case.node.outs) > 1 or cut_by_step:
        return computed_whole(case)
    if uneven:  # the divisor depends on where the window lies, so only channels are cut
        plain = (Axis(0), Axis(1), *(WHOLE for _ in axes))
        spatial = frozenset(range(2, 2 + len(axes)))
        return TileRule(case.node.op, case.node.attrs, (plain,), whole=spatial)
    fill = lowest(NUMPY[case.out.dtype]) if case.node.op == "MaxPool" else 0.0
    return TileRule(case.node.op, attrs, ((Axis(0), Axis(1), *axes),), fill)


def _conv(case: Case) -> TileRule:
    weight = case.shape(1)
    axes, attrs = _windows(case, weight[2:])
    group, outputs = case.integer("group", 1), weight[0]
    spatial = (WHOLE,) * len(axes)
    if any(case.integers("pads", (0,))) and any(axis.step > 1 for axis in axes):
        return computed_whole(case)
    bias = ((Axis(1),),) if len(case.ins) > 2 else ()
    op, fill = case.node.op, float(case.integer("x_zero_point", 0))
    if group == 1:
        ins = ((Axis(0), WHOLE, *axes), (Axis(1), WHOLE, *spatial), *bias)
        return TileRule(op, attrs, ins, fill, reduced=((0, 1), (1, 1)))
    if outputs == group and weight[1] == 1:
        ins = ((Axis(0), Axis(1), *axes), (Axis(1), WHOLE, *spatial), *bias)
        return TileRule(op, attrs, ins, fill)
    ins = ((Axis(0), WHOLE, *axes), (WHOLE, WHOLE, *spatial), *((WHOLE,) for _ in bias))
    return TileRule(op, attrs, ins, fill, whole=frozenset((1,)))


def _conv_transpose(case: Case) -> TileRule:
    """Where windows do not overlap each input pixel makes its own block of output pixels."""
    kernel = case.shape(1)[2:]
    strides = case.integers("strides", (1,) * len(kernel))
    padded = any(case.integers("pads", (0,))) or any(case.integers("output_padding", (0,)))
    if kernel != strides or padded or case.integer("group", 1) != 1:
        return computed_whole(case)
    spatial = tuple(Axis(2 + i, divide=s) for i, s in enumerate(strides))
    bias = ((Axis(1),),) if len(case.ins) > 2 else ()
    ins = ((Axis(0), WHOLE, *spatial), (WHOLE, Axis(1), *(WHOLE for _ in kernel)), *bias)
    return TileRule("ConvTranspose", case.node.attrs, ins, reduced=((0, 1), (1, 0)))


def _matmul(case: Case) -> TileRule:
    a, b, rank = case.shape(0), case.shape(1), len(case.out.shape)
    if len(a) < 2 or len(b) < 2:
        return computed_whole(case)
    left = broadcast_axes((*a[:-1], 1), case.out.dims)[:-1]
    right = broadcast_axes((*b[:-2], 1, b[-1]), case.out.dims)
    ins = ((*left, WHOLE), (*right[:-2], WHOLE, Axis(rank - 1)))
    return TileRule(case.node.op, case.node.attrs, ins, reduced=((0, len(a) - 1), (1, len(b) - 2)))


def _gemm(case: Case) -> TileRule:
    a = (WHOLE, Axis(0)) if case.integer("transA", 0) else (Axis(0), WHOLE)
    b = (Axis(1), WHOLE) if case.integer("transB", 0) else (WHOLE, Axis(1))
    c = (broadcast_axes(t.dims, case.out.dims) if t is not None else None for t in case.ins[2:])
    reduced = ((0, a.index(WHOLE)), (1, b.index(WHOLE)))
    return TileRule("Gemm", case.node.attrs, (a, b, *c), reduced=reduced)


def _among_channels(case: Case) -> TileRule:
    """LRN: each channel reads its neighbours; those before the first and behind the last are 0."""
    size, before = case.integer("size", 1), case.integers("pads", (0, 0))[0]
    window = Axis(1, 1, -before, size)
    axes = tuple(window if d == 1 else Axis(d) for d in range(case.rank))
    attrs = tuple(sorted((dict(case.node.attrs) | {"pads": (0, 0)}).items()))
    return TileRule("LRN", attrs, (axes,))


def _resize(case: Case) -> TileRule:
    """Nearest by whole scales, where output i is input i // scale wherever a tile begins."""
    scales = tuple(b // a for a, b in zip(case.shape(0), case.out.dims, strict=True))
    exact = case.attrs.get("scales") == tuple(float(s) for s in scales)
    if not exact or not all(_repeats(case, s) for s in set(scales)):
        return computed_whole(case)
    axes = tuple(Axis(d, divide=s) for d, s in enumerate(scales))
    return TileRule("Resize", case.node.attrs, (axes,))


def _repeats(case: Case, scale: int) -> bool:
    """Whether the op's own meaning repeats each element; for align_corners that depends on size."""
    if case.attrs.get("coordinate_transformation_mode") == "align_corners":
        return False
    row = np.arange(3, dtype=np.float64)
    attrs = {**case.attrs, "scales": (float(scale),)}
    return np.array_equal(OPS["Resize"].run(row, **attrs), row.repeat(scale))


RULES: dict[str, Rule] = {
    "BatchNormalization": _channelwise,
    "BiasAdd": _channelwise,
    "Transpose": _transpose,
    "Relayout": _relayout,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    "Expand": _pointwise,
    "Slice": _slice,
    "Pad": _pad,
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"), _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "LayerNormalization"), _along),
    "GlobalAveragePool": _global_pool,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(("Conv", "ConvInteger"), _conv),
    "ConvTranspose": _conv_transpose,
    "Resize": _resize,
    **dict.fromkeys(("MatMul", "MatMulInteger"), _matmul),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "DequantizeAdd"), _scaled),
    "Gemm": _gemm,
    "LRN": _among_channels,
    "MaxPoolPlaces": computed_whole,
    **PLACE_RULES,
}


def has_tile_rule(op: str) -> bool:
    """Whether an op can be cut into tiles, or is at least computed as one."""
    return op in RULES or OPS[op].fusion != Fusion.OPAQUE
