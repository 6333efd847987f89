"""Ops that put elements where they belong: columns into an image, maxima and rows into a tensor."""

from collections.abc import Mapping
from math import prod
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.types import NUMPY
from emu.models.rules.expanding import Sketch
from emu.models.rules.site import Calls, Rule, Site

Ints = tuple[int, ...]


def columns_to_image(site: Site) -> Calls:
    """[N, C * taps, places] to [N, C, ...]: a transposed conv whose taps put one element each."""
    image, kernel = site.ints(1, "the image"), site.ints(2, "the block")
    rank, taps = len(kernel), prod(kernel)
    ones = (1,) * rank
    strides, dilations = site.list("strides", ones), site.list("dilations", ones)
    pads = site.list("pads", (0,) * 2 * rank)
    lengths = (len(image), len(strides), len(dilations), len(pads))
    if site.rank != 3 or lengths != (rank, rank, rank, 2 * rank) or min((*kernel, *strides)) < 1:
        raise ModelError(f"{site.where}: blocks {list(kernel)} do not fit {site.type()}")
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    totals = tuple(n + a + b for n, a, b in zip(image, pads[:rank], pads[rank:], strict=True))
    steps = tuple((t - s) // by + 1 for t, s, by in zip(totals, spans, strides, strict=True))
    batch, depth, places = site.type().dims
    if depth % taps or prod(steps) != places or min(steps) < 1:
        raise ModelError(f"{site.where}: {site.type()} does not make an image {list(image)}")
    rest = zip(totals, steps, strides, spans, strict=True)
    beyond = tuple(t - ((n - 1) * by + s) for t, n, by, s in rest)
    write = Sketch(site)
    x = write("Reshape", site.inputs[0], shape=(batch, depth, *steps))
    each = np.eye(taps, dtype=NUMPY[site.type().dtype]).reshape(taps, 1, *kernel)
    weight = write.given(np.tile(each, (depth // taps, 1, *ones)))
    return write.done(
        write(
            "ConvTranspose",
            x,
            weight,
            strides=strides,
            pads=pads,
            dilations=dilations,
            group=depth // taps,
            output_padding=beyond,
        )
    )


def max_unpool(site: Site) -> Calls:
    """Maxima back to the places that MaxPool gave, in a tensor of zeros."""
    kernel = site.list("kernel_shape", ())
    rank = len(kernel)
    strides, pads = site.list("strides", (1,) * rank), site.list("pads", (0,) * 2 * rank)
    if not rank or (site.rank - 2, len(strides), len(pads)) != (rank, rank, 2 * rank):
        raise ModelError(f"{site.where}: a kernel {list(kernel)} does not fit {site.type()}")
    sizes = zip(site.type().dims[2:], strides, kernel, pads[:rank], pads[rank:], strict=True)
    pooled = tuple((n - 1) * by + k - a - b for n, by, k, a, b in sizes)
    shape = (*site.type().dims[:2], *pooled)
    write = Sketch(site)
    zeros = write("Expand", write("Reshape", write.number(0), shape=(1,)), shape=(prod(shape),))
    flat = (write("Reshape", v, shape=(site.type().elements,)) for v in reversed(site.inputs[:2]))
    y = write("Reshape", write("ScatterElements", zeros, *flat, axis=0), shape=shape)
    wanted = site.ints(2, "the output shape") if site.has(2) else shape
    more = tuple(w - n for w, n in zip(wanted, shape, strict=False))
    if len(wanted) != len(shape) or min(more) < 0:
        raise ModelError(f"{site.where}: {list(wanted)} does not hold {list(shape)}")
    return write.done(write("Pad", y, pads=(*(0,) * len(shape), *more)) if any(more) else y)


def tensor_scatter(site: Site) -> Calls:
    """Rows of a batch put behind each other into a cache, each batch from a place of its own.

    Place t of the output is row t - start of the update, where the update has one.
    """
    axis, dims = site.axis(site.integer("axis", -2)), site.type().dims
    size, rows = dims[axis], site.type(1).dims[axis]
    if not axis or rows > size:
        raise ModelError(f"{site.where}: {site.type(1)} does not go into {site.type()}")
    write, mode = Sketch(site), site.text("mode", "linear")
    if mode not in ("linear", "circular"):
        raise ModelError(f"{site.where}: mode '{mode}' is neither linear nor circular")
    row = write.given(np.arange(size).reshape(size, *(1 for _ in dims[axis + 1 :])))
    if site.has(2):
        first = write("Reshape", site.inputs[2], shape=(dims[0], *(1 for _ in dims[1:])))
        row = write("Sub", row, first)
    if mode == "circular":
        row = write("Mod", row, write.given(np.array(size)))
    zero, end = write.given(np.array(0)), write.given(np.array(rows))
    inside = write("And", write("GreaterOrEqual", row, zero), write("Less", row, end))
    places = write("Expand", write("Where", inside, row, zero), shape=dims)
    new = write("GatherElements", site.inputs[1], places, axis=axis)
    return write.done(write("Where", inside, new, site.inputs[0]))


RULES: Mapping[str, Rule] = MappingProxyType(
    {"Col2Im": columns_to_image, "MaxUnpool": max_unpool, "TensorScatter": tensor_scatter}
)
