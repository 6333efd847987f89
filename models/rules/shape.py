"""Ops that move elements without computing: reshape, transpose, slice, gather, pad."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from math import prod
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.types import NUMPY
from emu.models.rules.site import Call, Calls, Given, Rule, Site
from emu.models.tensors import inline


def reshape(site: Site) -> Calls | Constant:
    """0 copies a dimension and -1 takes what is left; both become numbers here."""
    asked = site.ints(1, "the shape") if site.opset >= 5 else site.list("shape", ())
    dims = site.type().dims
    means_nothing = site.integer("allowzero", 0)  # read always: the host gets what nobody reads
    if 0 in asked and means_nothing:
        return _empty(site, asked)
    if any(a == 0 and i >= len(dims) for i, a in enumerate(asked)):
        raise ModelError(f"{site.where}: shape {list(asked)} copies a dimension that is not there")
    shape = tuple(dims[i] if a == 0 else a for i, a in enumerate(asked))
    resolved = _resolved(site, shape)
    if 0 in resolved:
        return _empty(site, resolved)
    return site.call("Reshape", site.inputs[:1], shape=resolved)


def _empty(site: Site, shape: tuple[int, ...]) -> Constant:
    """A tensor of no elements in another shape, which has none either."""
    if site.type().elements or min(shape) < 0:
        raise ModelError(f"{site.where}: {site.type()} cannot take the shape {list(shape)}")
    return inline(np.zeros(shape, NUMPY[site.type().dtype]))


def _resolved(site: Site, shape: tuple[int, ...]) -> tuple[int, ...]:
    elements = site.type().elements
    known = prod(s for s in shape if s != -1)
    impossible = shape.count(-1) > 1 or any(s < -1 for s in shape)
    if -1 in shape and (known == 0 or elements % known):
        impossible = True
    if impossible:
        raise ModelError(f"{site.where}: {site.type()} cannot take the shape {list(shape)}")
    return tuple(elements // known if s == -1 else s for s in shape)


def transpose(site: Site) -> Calls:
    """Without ``perm`` the dimensions are reversed."""
    perm = site.axes(site.list("perm", tuple(reversed(range(site.rank)))))
    return site.call("Transpose", perm=perm)


def flatten(site: Site) -> Calls:
    """To a matrix, split before ``axis``; the axis may equal the rank."""
    axis = site.integer("axis", 1)
    inside = axis if axis == site.rank else site.axis(axis)
    return site.call("Flatten", axis=inside)


def squeeze(site: Site) -> Calls:
    """Axes are an attribute before opset 13; without them every dimension of 1 goes."""
    axes = _axes(site, 13)
    if axes is None:
        axes = tuple(i for i, d in enumerate(site.type().dims) if d == 1)
    return site.call("Squeeze", site.inputs[:1], axes=site.axes(axes))


def unsqueeze(site: Site) -> Calls:
    """Axes are an attribute before opset 13; they count in the result."""
    axes = _axes(site, 13)
    if axes is None:
        raise ModelError(f"{site.where}: has no axes")
    inserted = tuple(sorted(site.axes(axes, site.rank + len(axes))))
    return site.call("Unsqueeze", site.inputs[:1], axes=inserted)


def _axes(site: Site, input_from: int) -> tuple[int, ...] | None:
    if site.opset >= input_from:
        return site.ints(1, "the axes") if site.has(1) else None
    return site.list("axes", ()) if "axes" in site.attrs else None


def slice_(site: Site) -> Calls:
    """Starts and ends are attributes before opset 10; they are clamped to the tensor here."""
    starts, ends, axes, steps = _slice_lists(site)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ModelError(f"{site.where}: starts, ends, axes and steps do not fit together")
    axes = site.axes(axes)
    dims = [site.type().dims[a] for a in axes]
    bounds = [_bounds(*s) for s in zip(starts, ends, steps, dims, strict=True)]
    first, last = tuple(b[0] for b in bounds), tuple(b[1] for b in bounds)
    return site.call("Slice", site.inputs[:1], starts=first, ends=last, axes=axes, steps=steps)


def _slice_lists(site: Site) -> tuple[tuple[int, ...], ...]:
    if site.opset < 10:
        starts, ends = site.list("starts", ()), site.list("ends", ())
        return starts, ends, site.list("axes", tuple(range(len(starts)))), (1,) * len(starts)
    starts, ends = site.ints(1, "starts"), site.ints(2, "ends")
    axes = site.ints(3, "axes") if site.has(3) else tuple(range(len(starts)))
    return starts, ends, axes, site.ints(4, "steps") if site.has(4) else (1,) * len(starts)


def _bounds(start: int, end: int, step: int, dim: int) -> tuple[int, int]:
    low, high, _ = slice(start, end, step).indices(dim)
    # Before the first element is -1 for a range but the last element for a slice.
    return (low, high) if high >= 0 else (low, -dim - 1)


def expand(site: Site) -> Calls:
    """The asked shape and the tensor's own broadcast both ways; the result is what is kept."""
    asked = site.ints(1, "the shape")
    pairs = zip_longest(reversed(site.type().dims), reversed(asked), fillvalue=1)
    shape = tuple(reversed([b if a == 1 else a for a, b in pairs]))
    return site.call("Expand", site.inputs[:1], shape=shape)


def split(site: Site) -> Calls:
    """Sizes are an attribute, an input in opset 1 and from 13 on, or follow from the outputs."""
    axis = site.axis(site.integer("axis", 0))
    sizes = _sizes(site, site.type().dims[axis])
    full = [i for i, size in enumerate(sizes) if size]
    parts = tuple(site.outputs[i] for i in full)
    attrs = {"axis": axis, "sizes": tuple(sizes[i] for i in full)}
    cut = Call("Split", site.inputs[:1], attrs, parts)
    if len(full) == len(sizes) or not site.type().elements:
        return (replace(cut, attrs={"axis": axis, "sizes": sizes}, outputs=site.outputs),)
    whole = cut if len(full) > 1 else Call("Identity", site.inputs[:1], {}, parts)
    dims, dtype = site.type().dims, NUMPY[site.type().dtype]
    none = inline(np.zeros((*dims[:axis], 0, *dims[axis + 1 :]), dtype))
    empty = (site.outputs[i] for i, size in enumerate(sizes) if not size)
    return (whole, *(Given(output, none) for output in empty))


def _sizes(site: Site, dim: int) -> tuple[int, ...]:
    if site.opset < 13 and "split" in site.attrs:
        return site.list("split", ())
    if (site.opset >= 13 or site.opset < 2) and site.has(1):
        return site.ints(1, "the sizes")
    count = site.integer("num_outputs", len(site.outputs))
    if count != len(site.outputs) or ("num_outputs" not in site.attrs and dim % count):
        raise ModelError(f"{site.where}: {dim} elements do not split into {count} equal parts")
    part = -(-dim // count)
    return (*(part,) * (count - 1), dim - part * (count - 1))


def gather(site: Site) -> Calls:
    """Rows of the first input along ``axis``, by the second."""
    return site.call("Gather", axis=site.axis(site.integer("axis", 0)))


def concat(site: Site) -> Calls:
    """All inputs behind each other along ``axis``; those without elements add nothing.

    Before opset 4 the axis may be left out, and is 1 then.
    """
    axis = site.axis(site.integer("axis", 1 if site.opset < 4 else 0))
    full = tuple(v for v in site.inputs if site.types[v].elements) or site.inputs
    return site.call("Concat", full, axis=axis)


def pad(site: Site) -> Calls:
    """Pads are an attribute before opset 11; given for some axes only, the others get none."""
    name = "pads" if site.opset >= 2 else "paddings"
    pads = site.ints(1, "the pads") if site.opset >= 11 else site.list(name, ())
    axes = site.axes(site.ints(3, "the axes")) if site.has(3) else tuple(range(site.rank))
    if len(pads) != 2 * len(axes):
        raise ModelError(f"{site.where}: {len(pads)} pads do not fit {len(axes)} axes")
    begin = dict(zip(axes, pads, strict=False))
    end = dict(zip(axes, pads[len(axes) :], strict=True))
    full = tuple(side.get(i, 0) for side in (begin, end) for i in range(site.rank))
    mode = site.text("mode", "constant")
    return site.call("Pad", site.inputs[:1], pads=full, mode=mode, value=_pad_value(site))


def _pad_value(site: Site) -> float:
    if site.opset < 11:
        return site.number("value", 0.0)
    return site.scalar(2, "the value") if site.has(2) else 0.0


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Reshape": reshape,
        "Transpose": transpose,
        "Flatten": flatten,
        "Squeeze": squeeze,
        "Unsqueeze": unsqueeze,
        "Slice": slice_,
        "Expand": expand,
        "Split": split,
        "Gather": gather,
        "Concat": concat,
        "Pad": pad,
    }
)
