"""Ops that are several simpler ones, some with constants that the model text does not have."""

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attr, Constant
from emu.ir.types import NUMPY, Array
from emu.models.rules.norm import of_nothing
from emu.models.rules.site import Call, Calls, Given, Rule, Site
from emu.models.tensors import inline


class Sketch:
    """Calls that stand for one node, as they are written; every value gets a name of its own."""

    def __init__(self, site: Site) -> None:
        """Start empty."""
        self.site = site
        self.written: list[Call | Given] = []

    def __call__(self, op: str, *inputs: str, **attrs: Attr) -> str:
        """Write one op with one output, and return its name."""
        name = self.fresh()
        self.written.append(Call(op, inputs, attrs, (name,)))
        return name

    def bind(self, value: str, output: str) -> None:
        """Let a value be an output of the node."""
        self.written.append(Call("Identity", (value,), {}, (output,)))

    def fresh(self) -> str:
        """A name that nothing has."""
        return f"{self.site.outputs[0]}#{len(self.written)}"

    def given(self, array: Array) -> str:
        """Write a constant, and return its name."""
        name = self.fresh()
        self.written.append(Given(name, inline(array)))
        return name

    def number(self, value: float, like: int = 0) -> str:
        """Write a number in the element type of input ``like``."""
        return self.given(np.array(value, NUMPY[self.site.type(like).dtype]))

    def parts(self, x: str, axis: int, size: int, count: int) -> tuple[str, ...]:
        """Cut a value into ``count`` parts of ``size`` along ``axis``."""
        if count == 1:
            return (x,)
        names = tuple(f"{self.fresh()}/{i}" for i in range(count))
        attrs: Mapping[str, Attr] = {"axis": axis, "sizes": (size,) * count}
        self.written.append(Call("Split", (x,), attrs, names))
        return names

    def done(self, value: str) -> Calls:
        """The whole answer; ``value`` is the node's first output."""
        self.site.only_first_output()
        self.bind(value, self.site.outputs[0])
        return tuple(self.written)


Fold = Callable[[Sketch, str, Mapping[str, Attr]], str]


def _absolute(write: Sketch, x: str, over: Mapping[str, Attr]) -> str:
    return write("ReduceSum", write("Abs", x), **over)


def _squares(write: Sketch, x: str, over: Mapping[str, Attr]) -> str:
    return write("ReduceSum", write("Mul", x, x), **over)


def _root_of_squares(write: Sketch, x: str, over: Mapping[str, Attr]) -> str:
    return write("Sqrt", _squares(write, x, over))


def _log_of_sum(write: Sketch, x: str, over: Mapping[str, Attr]) -> str:
    return write("Log", write("ReduceSum", x, **over))


def _log_of_powers(write: Sketch, x: str, over: Mapping[str, Attr]) -> str:
    """The largest is taken off first, so that no power overflows."""
    most = write("ReduceMax", x, **over)
    return write("Add", most, _log_of_sum(write, write("Exp", write("Sub", x, most)), over))


def reduction(fold: Fold) -> Rule:
    """Return the rule of a reduction; axes are an attribute before opset 18, then an input."""

    def rule(site: Site) -> Calls | Constant:
        write = Sketch(site)
        axes = site.ints(1, "the axes") if site.has(1) else site.list("axes", ())
        if not axes and site.integer("noop_with_empty_axes", 0):
            return write.done(fold(write, site.inputs[0], {"axes": (site.rank,)}))
        inside = tuple(sorted(site.axes(axes))) or tuple(range(site.rank))
        keepdims = site.integer("keepdims", 1)
        if not site.type().elements:
            return of_nothing(site, inside, keepdims)
        result = fold(write, site.inputs[0], {"axes": inside, "keepdims": 1})
        if not keepdims:
            result = write("Squeeze", result, axes=inside)
        return write.done(result)

    return rule


def lp_normalization(site: Site) -> Calls:
    """x divided by its norm of order ``p`` along one axis; where that is 0 the result is 0."""
    order = site.integer("p", 2)
    if order not in (1, 2):
        raise ModelError(f"{site.where}: p is 1 or 2, not {order}")
    write, x = Sketch(site), site.inputs[0]
    over: Mapping[str, Attr] = {"axes": (site.axis(site.integer("axis", -1)),), "keepdims": 1}
    norm = (_absolute if order == 1 else _root_of_squares)(write, x, over)
    zero = write.number(0)
    return write.done(write("Where", write("Equal", norm, zero), zero, write("Div", x, norm)))


def local_response_normalization(site: Site) -> Calls:
    """Each channel by the squares of its neighbours: ``size`` channels with itself."""
    size = site.integer("size", 0)
    if size < 1 or site.rank < 2:
        raise ModelError(f"{site.where}: size {size} does not fit {site.type()}")
    numbers = {n: site.number(n, d) for n, d in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))}
    return site.call("LRN", size=size, pads=((size - 1) // 2, size // 2), **numbers)


def triangle(site: Site) -> Calls:
    """The upper or lower triangle of matrices; k moves the diagonal."""
    k = int(site.scalar(1, "k")) if site.has(1) else 0
    rows, columns = site.type().dims[-2:]
    ones = np.ones((rows, columns), np.bool_)
    kept = np.triu(ones, k) if site.integer("upper", 1) else np.tril(ones, k)
    write = Sketch(site)
    return write.done(write("Where", write.given(kept), site.inputs[0], write.number(0)))


MOST_DEPTH = 1 << 22  # its places are a constant of 32 MiB then; no vocabulary is larger


def one_hot(site: Site) -> Calls:
    """values[1] where the index is the place along a new ``axis`` of ``depth``, else values[0]."""
    depth, write = int(site.scalar(1, "the depth")), Sketch(site)
    if not 0 < depth <= MOST_DEPTH:
        raise ModelError(f"{site.where}: a depth is 1 to {MOST_DEPTH}, not {depth}")
    axis = site.axis(site.integer("axis", -1), site.rank + 1)
    index = write("Cast", site.inputs[0], to="i64")
    size, zero = (write.given(np.array(n, np.int64)) for n in (depth, 0))
    whole = write("Where", write("Less", index, zero), write("Add", index, size), index)
    shape = [1] * (site.rank + 1)
    shape[axis] = depth
    places = write.given(np.arange(depth).reshape(shape))
    hot = write("Equal", write("Unsqueeze", whole, axes=(axis,)), places)
    off, on = write.parts(site.inputs[2], 0, 1, 2)
    return write.done(write("Where", hot, on, off))


def depth_to_space(site: Site) -> Calls:
    """Blocks of channels become blocks of space; ``mode`` says which channels are a block."""
    (n, c, h, w), size = _image(site), site.integer("blocksize", 0)
    if size < 1 or c % (size * size):
        raise ModelError(f"{site.where}: blocksize {size} does not divide {site.type()}")
    rest = c // (size * size)
    first = site.text("mode", "DCR") == "DCR"
    cut = (n, size, size, rest, h, w) if first else (n, rest, size, size, h, w)
    perm = (0, 3, 4, 1, 5, 2) if first else (0, 1, 4, 2, 5, 3)
    return _moved(site, cut, perm, (n, rest, h * size, w * size))


def space_to_depth(site: Site) -> Calls:
    """Blocks of space become channels; ``mode`` says whether those of a block stand together."""
    (n, c, h, w), size = _image(site), site.integer("blocksize", 0)
    if size < 1 or h % size or w % size:
        raise ModelError(f"{site.where}: blocksize {size} does not divide {site.type()}")
    cut = (n, c, h // size, size, w // size, size)
    shape = (n, c * size * size, h // size, w // size)
    first = site.text("mode", "DCR") == "DCR"
    return _moved(site, cut, (0, 3, 5, 1, 2, 4) if first else (0, 1, 3, 5, 2, 4), shape)


def _image(site: Site) -> tuple[int, ...]:
    if site.rank != 4:
        raise ModelError(f"{site.where}: takes [N,C,H,W], not {site.type()}")
    return site.type().dims


def _moved(
    site: Site, cut: tuple[int, ...], perm: tuple[int, ...], shape: tuple[int, ...]
) -> Calls:
    write = Sketch(site)
    apart = write("Reshape", site.inputs[0], shape=cut)
    return write.done(write("Reshape", write("Transpose", apart, perm=perm), shape=shape))


def instance_normalization(site: Site) -> Calls:
    """Each channel of each image by its own mean and variance."""
    write = Sketch(site)
    normal = _normal(write, prod(site.type().dims[:2]))
    return write.done(_scaled(write, normal, site.inputs[1], site.inputs[2]))


def group_normalization(site: Site) -> Calls:
    """Groups of channels by their own mean and variance; scales are per group before opset 21."""
    channels, groups = site.type().dims[1], site.integer("num_groups", 0)
    if groups < 1 or channels % groups:
        raise ModelError(f"{site.where}: num_groups {groups} does not divide {site.type()}")
    write = Sketch(site)
    normal = _normal(write, site.type().dims[0] * groups)
    scale, bias = site.inputs[1:3]
    if site.opset < 21:
        scale, bias = (_spread(write, v, groups, channels // groups) for v in (scale, bias))
    return write.done(_scaled(write, normal, scale, bias))


def _normal(write: Sketch, rows: int) -> str:
    """(x - mean) / sqrt(variance + epsilon) of each of ``rows`` equal parts of the first input."""
    site = write.site
    flat = write("Reshape", site.inputs[0], shape=(rows, site.type().elements // max(rows, 1)))
    off = write("Sub", flat, write("ReduceMean", flat, axes=(1,), keepdims=1))
    variance = write("ReduceMean", write("Mul", off, off), axes=(1,), keepdims=1)
    epsilon = write.number(site.number("epsilon", 1e-5))
    normal = write("Div", off, write("Sqrt", write("Add", variance, epsilon)))
    return write("Reshape", normal, shape=site.type().dims)


def _scaled(write: Sketch, x: str, scale: str, bias: str) -> str:
    """x [N,C,...] times a scale and plus a bias per channel."""
    column = (write.site.type().dims[1], *(1 for _ in range(write.site.rank - 2)))
    product = write("Mul", x, write("Reshape", scale, shape=column))
    return write("Add", product, write("Reshape", bias, shape=column))


def _spread(write: Sketch, vector: str, groups: int, each: int) -> str:
    """A number per group, [G], for each of its channels, [G * each]."""
    column = write("Reshape", vector, shape=(groups, 1))
    wide = write("Expand", column, shape=(groups, each))
    return write("Reshape", wide, shape=(groups * each,))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "ReduceL1": reduction(_absolute),
        "ReduceL2": reduction(_root_of_squares),
        "ReduceSumSquare": reduction(_squares),
        "ReduceLogSum": reduction(_log_of_sum),
        "ReduceLogSumExp": reduction(_log_of_powers),
        "LpNormalization": lp_normalization,
        "LRN": local_response_normalization,
        "Trilu": triangle,
        "OneHot": one_hot,
        "DepthToSpace": depth_to_space,
        "SpaceToDepth": space_to_depth,
        "InstanceNormalization": instance_normalization,
        "GroupNormalization": group_normalization,
    }
)
