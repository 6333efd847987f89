"""Places in an image, and what is read from it there and in between."""

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.types import NUMPY
from emu.models.rules.expanding import Sketch
from emu.models.rules.site import Calls, Rule, Site

MOST_PLACES = 1 << 22  # along one dimension: a constant of 32 MiB then; no image is wider


def affine_grid(site: Site) -> Calls:
    """theta [N,D,D+1] on every place (x, y, 1) or (x, y, z, 1): a grid [N,...,D] of D dimensions.

    Not by ONNX's function body, which squeezes a batch of one away in 2-D.
    """
    batch, *space = _size(site)
    write, count = Sketch(site), len(space)
    aligned = site.integer("align_corners", 0)
    axes = [_axis(write, n, i, count, aligned) for i, n in reversed([*enumerate(space)])]
    columns = [write("Expand", axis, shape=(*space, 1)) for axis in axes]
    ones = write("Expand", write.number(1), shape=(*space, 1))
    places = write("Concat", *columns, ones, axis=count)
    flat = write("Reshape", places, shape=(prod(space), count + 1))
    moved = write("MatMul", flat, write("Transpose", site.inputs[0], perm=(0, 2, 1)))
    return write.done(write("Reshape", moved, shape=(batch, *space, count)))


def _size(site: Site) -> tuple[int, ...]:
    """The batch and the dimensions of space that input 1 gives: N, C, [D,] H, W."""
    sizes = site.ints(1, "the size")
    batch, space = sizes[0] if sizes else 0, sizes[2:]
    if len(space) not in (2, 3) or min(sizes) < 1 or max(space) > MOST_PLACES:
        raise ModelError(f"{site.where}: a size is N,C,H,W or N,C,D,H,W, not {list(sizes)}")
    if site.type().dims != (batch, len(space), len(space) + 1):
        raise ModelError(f"{site.where}: {site.type()} does not move a grid of {list(sizes)}")
    return (batch, *space)


def _axis(write: Sketch, n: int, place: int, count: int, aligned: int) -> str:
    """Where the ``n`` places along a dimension are, from -1 to 1: corners or cells ([n,1,...,1]).

    One place is in the middle, or at the first corner where corners are aligned.
    """
    step = 2 / max(n - 1, 1) if aligned else 2 / n
    first = -1.0 if aligned else -1 + step / 2
    type = write.site.type()
    shape = (n, *(1,) * (count - place))
    number = write("Cast", write.given(np.arange(n).reshape(shape)), to=type.dtype)
    return write("Add", write("Mul", number, write.number(step)), write.number(first))


# How far the elements that are read lie from the last one before a place.
TAPS = {"nearest": (0,), "linear": (0, 1), "cubic": (0, 1, -1, 2)}
OLDER = {"bilinear": "linear", "bicubic": "cubic"}  # names before opset 20
CUBIC = -0.75  # the parameter of Keys' kernel that ONNX names
PADDINGS = ("zeros", "border", "reflection")

Taps = tuple[str, str]  # elements along one dimension, and their weights: [N,T,P] each


def grid_sample(site: Site) -> Calls:
    """x [N,C,...] at the places of a grid [N,...,D], -1 to 1 along each dimension: [N,C,...].

    Every place is a weighted sum of the elements around it, as many as ``mode`` takes along each
    dimension; ``padding_mode`` says what stands for those outside.
    """
    mode = site.text("mode", "linear" if site.opset >= 20 else "bilinear")
    mode, padding = OLDER.get(mode, mode), site.text("padding_mode", "zeros")
    x, grid = site.type(), site.type(1)
    count = len(x.dims) - 2
    if mode not in TAPS or padding not in PADDINGS:
        raise ModelError(f"{site.where}: mode '{mode}' with padding '{padding}' is not known")
    if len(grid.dims) != count + 2 or grid.dims[0] != x.dims[0] or grid.dims[-1] != count:
        raise ModelError(f"{site.where}: a grid {grid} has no places in {x}")
    if grid.dtype != x.dtype or (mode == "cubic" and count > 2) or not x.elements:
        raise site.refuse(f"a grid {grid} of '{mode}' in {x} is not supported")
    return _sampled(Sketch(site), mode, padding)


def _sampled(write: Sketch, mode: str, padding: str) -> Calls:
    """All elements are taken at once, [N,C,T,P], and added up over the taps of a place."""
    site = write.site
    (n, c, *space), grid, places = site.type().dims, site.type(1).dims, _places(site)
    flat = write("Reshape", site.inputs[1], shape=(n, places, len(space)))
    columns = write.parts(flat, 2, 1, len(space))
    axes = [
        _taps(write, write("Reshape", column, shape=(n, 1, places)), length, mode, padding)
        for column, length in zip(reversed(columns), space, strict=True)
    ]
    index, weight = _all_taps(write, axes, len(TAPS[mode]))
    count = len(TAPS[mode]) ** len(space)
    index = write("Reshape", index, shape=(n, 1, count * places))
    image = write("Reshape", site.inputs[0], shape=(n, c, prod(space)))
    index = write("Expand", index, shape=(n, c, count * places))
    found = write("GatherElements", image, index, axis=2)
    found = write("Reshape", found, shape=(n, c, count, places))
    parts = write("Mul", found, write("Reshape", weight, shape=(n, 1, count, places)))
    total = write("ReduceSum", parts, axes=(2,), keepdims=0)
    return write.done(write("Reshape", total, shape=(n, c, *grid[1:-1])))


def _all_taps(write: Sketch, axes: Sequence[Taps], each: int) -> Taps:
    """Where in a flat image the taps of all dimensions together are, and their weights."""
    n, *space = (write.site.type().dims[0], *write.site.type().dims[2:])
    index = weight = ""
    for i, (elements, weights) in enumerate(axes):
        shape = [n, *(1,) * len(axes), _places(write.site)]
        shape[i + 1] = each
        element, factor = (write("Reshape", v, shape=tuple(shape)) for v in (elements, weights))
        if not index:
            index, weight = element, factor
            continue
        row = write("Mul", index, write.given(np.array(space[i], np.int64)))
        index, weight = write("Add", row, element), write("Mul", weight, factor)
    return index, weight


def _taps(write: Sketch, place: str, length: int, mode: str, padding: str) -> Taps:
    """The elements that places along a dimension of ``length`` are made of, with their weights."""
    at, type = _unit(write, place, length), write.site.type()
    first = write("Round" if mode == "nearest" else "Floor", at)
    weights = _weights(write, write("Sub", at, first), mode)
    steps = np.array(TAPS[mode], NUMPY[type.dtype]).reshape(1, -1, 1)
    elements = write("Add", first, write.given(steps))
    if padding == "reflection":
        elements = _reflected(write, elements, length)
    inside = write("Clip", elements, min=0.0, max=float(length - 1))
    if padding == "zeros":
        weights = write("Where", write("Equal", elements, inside), weights, write.number(0))
    return write("Cast", inside, to="i64"), weights


def _unit(write: Sketch, place: str, length: int) -> str:
    """Places of -1 to 1 as places of elements, whose middles or edges -1 and 1 are."""
    half, one = write.number(0.5), write("Add", place, write.number(1))
    if write.site.integer("align_corners", 0):
        return write("Mul", write("Mul", one, half), write.number(length - 1))
    wide = write("Sub", write("Mul", one, write.number(length)), write.number(1))
    return write("Mul", wide, half)


def _weights(write: Sketch, rest: str, mode: str) -> str:
    """The weights of the taps for the ``rest`` of a place behind an element."""
    one = write.number(1)
    if mode == "nearest":
        return write("Expand", one, shape=(write.site.type().dims[0], 1, _places(write.site)))
    other = write("Sub", one, rest)
    if mode == "linear":
        return write("Concat", other, rest, axis=1)
    near = write("Concat", rest, other, axis=1)
    far = write("Add", near, one)
    return write("Concat", _inner(write, near), _outer(write, far), axis=1)


def _places(site: Site) -> int:
    return prod(site.type(1).dims[1:-1])


def _inner(write: Sketch, t: str) -> str:
    """(a + 2) t^3 - (a + 3) t^2 + 1 for t up to 1 (Keys 1981)."""
    slope = write("Sub", write("Mul", t, write.number(CUBIC + 2)), write.number(CUBIC + 3))
    return write("Add", write("Mul", write("Mul", slope, t), t), write.number(1))


def _outer(write: Sketch, t: str) -> str:
    """a t^3 - 5 a t^2 + 8 a t - 4 a for t of 1 to 2 (Keys 1981)."""
    made = write("Sub", write("Mul", t, write.number(CUBIC)), write.number(5 * CUBIC))
    made = write("Add", write("Mul", made, t), write.number(8 * CUBIC))
    return write("Sub", write("Mul", made, t), write.number(4 * CUBIC))


def _reflected(write: Sketch, element: str, length: int) -> str:
    """Elements outside as their mirror images: at the middle of the last one, or at its edge."""
    aligned = write.site.integer("align_corners", 0)
    edge, width = (0.0, length - 1) if aligned else (-0.5, length)
    if not width:
        return element  # one element: the clipping finds it
    size, twice = write.number(width), write.number(2 * width)
    away = write("Sub", element, write.number(edge))
    turns = write("Floor", write("Div", away, twice))
    once = write("Sub", away, write("Mul", turns, twice))
    back = write("Sub", size, write("Abs", write("Sub", once, size)))
    return write("Add", back, write.number(edge))


RULES: Mapping[str, Rule] = MappingProxyType({"AffineGrid": affine_grid, "GridSample": grid_sample})
