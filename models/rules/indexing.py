"""Ops about places: where the largest is, taking and putting elements, counting, repeating."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.types import NUMPY, TensorType
from emu.models.rules.site import Call, Calls, Rule, Site
from emu.models.tensors import inline, is_structural


def arg(site: Site) -> Calls:
    """The place of an extreme along one axis."""
    last = site.integer("select_last_index", 0)
    axis, keepdims = site.axis(site.integer("axis", 0)), site.integer("keepdims", 1)
    return site.call(site.op, axis=axis, keepdims=keepdims, select_last_index=last)


def cumulative(site: Site) -> Calls:
    """Running sums or products; the axis is an input."""
    axis = site.axis(int(site.scalar(1, "the axis")))
    exclusive, reverse = site.integer("exclusive", 0), site.integer("reverse", 0)
    attrs = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
    return site.call(site.op, site.inputs[:1], **attrs)


def top_k(site: Site) -> Calls:
    """How many is an attribute before opset 10, and an input from then on; the order is sorted."""
    k = int(site.scalar(1, "k")) if site.opset >= 10 else site.integer("k", 0)
    axis, largest = site.axis(site.integer("axis", -1)), site.integer("largest", 1)
    values, places = (*site.outputs, f"{site.outputs[0]}#places")[:2]
    return (
        Call("TopPlaces", site.inputs[:1], {"k": k, "axis": axis, "largest": largest}, (places,)),
        Call("GatherElements", (site.inputs[0], places), {"axis": axis}, (values,)),
    )


def reverse_sequence(site: Site) -> Calls:
    """Each sequence of a batch up to its own length."""
    batch, time = site.integer("batch_axis", 1), site.integer("time_axis", 0)
    return site.call(site.op, batch_axis=site.axis(batch), time_axis=site.axis(time))


def with_axis(site: Site) -> Calls:
    """Taking and putting along one axis."""
    axis = site.axis(site.integer("axis", 0))
    if site.op == "GatherElements":
        return site.call(site.op, axis=axis)
    reduction = site.text("reduction", "none")
    return site.call("ScatterElements", axis=axis, reduction=reduction)


def gather_slices(site: Site) -> Calls:
    """Leading ``batch_dims`` of data and indices go together."""
    return site.call("GatherND", batch_dims=site.integer("batch_dims", 0))


def scatter_slices(site: Site) -> Calls:
    """Slices are put in place, or reduced with what is there."""
    return site.call("ScatterND", reduction=site.text("reduction", "none"))


def range_(site: Site) -> Constant:
    """Numbers from start up to limit by delta; all three have to be known."""
    start, limit, delta = (site.array(i, n) for i, n in enumerate(("start", "limit", "delta")))
    dtype = start.dtype
    if start.size != 1 or limit.size != 1 or delta.size != 1 or not delta.reshape(()):
        raise ModelError(f"{site.where}: start, limit and delta are one number each, delta not 0")
    first, step = start.reshape(()), delta.reshape(())
    span = float(limit.reshape(())) - float(first)
    count = max(0, int(np.ceil(span / float(step))))
    type = TensorType(site.type().dtype, (count,))
    if is_structural(type):
        return inline((np.arange(count, dtype=dtype) * step + first).astype(dtype))
    key = f"range:{type}:{first!r}:{step!r}"
    return Constant(type, key, lambda: np.arange(count, dtype=NUMPY[type.dtype]) * step + first)


def _repeats(site: Site) -> tuple[int, ...]:
    """One for each dimension; before opset 6 one number, and the axis that it is for."""
    if site.opset >= 6:
        return site.ints(1, "the repeats")
    times, axis = int(site.scalar(1, "the tiles")), site.axis(int(site.scalar(2, "the axis")))
    return tuple(times if i == axis else 1 for i in range(site.rank))


def tile(site: Site) -> Calls:
    """Repeats of each dimension: a new dimension before it, expanded and folded in."""
    repeats, dims = _repeats(site), site.type().dims
    if len(repeats) != len(dims) or min(repeats, default=1) < 0:
        raise ModelError(f"{site.where}: repeats {list(repeats)} do not fit {site.type()}")
    pairs = list(zip(repeats, dims, strict=True))
    apart = tuple(n for r, d in pairs for n in ((1, d) if r != 1 else (d,)))
    wide = tuple(n for r, d in pairs for n in ((r, d) if r != 1 else (d,)))
    whole = tuple(r * d for r, d in pairs)
    cut, grown = f"{site.outputs[0]}#cut", f"{site.outputs[0]}#grown"
    return (
        Call("Reshape", site.inputs[:1], {"shape": apart}, (cut,)),
        Call("Expand", (cut,), {"shape": wide}, (grown,)),
        Call("Reshape", (grown,), {"shape": whole}, site.outputs),
    )


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "ArgMax": arg,
        "ArgMin": arg,
        "CumSum": cumulative,
        "CumProd": cumulative,
        "ReverseSequence": reverse_sequence,
        "TopK": top_k,
        "GatherElements": with_axis,
        "ScatterElements": with_axis,
        "Scatter": with_axis,
        "GatherND": gather_slices,
        "ScatterND": scatter_slices,
        "Range": range_,
        "Tile": tile,
    }
)
