"""Ops that fold whole dimensions, and the normalisations built on them."""

from collections.abc import Mapping
from math import inf, isinf, isnan, nan, prod
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.ops.type_rules import reduced
from emu.ir.types import NUMPY, REALS
from emu.models.rules.site import Call, Calls, Given, Rule, Site
from emu.models.tensors import filled, inline


def reduce(axes_input_from: int) -> Rule:
    """Return the rule of a reduction whose axes are an input from that opset on."""

    def rule(site: Site) -> Calls | Constant:
        axes = site.list("axes", ())
        if site.opset >= axes_input_from:
            axes = site.ints(1, "the axes") if site.has(1) else ()
        if not axes and site.integer("noop_with_empty_axes", 0):
            return site.call("Identity", site.inputs[:1])
        every = tuple(range(site.rank))
        inside = tuple(sorted(site.axes(axes))) or every
        keepdims = site.integer("keepdims", 1)
        if not site.type().elements:
            return of_nothing(site, inside, keepdims)
        return site.call(site.op, site.inputs[:1], axes=inside, keepdims=keepdims)

    return rule


# What a reduction of no elements gives: the number that changes no other, or what follows from it.
OF_NOTHING: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare"), 0.0),
        **dict.fromkeys(("ReduceLogSum", "ReduceLogSumExp", "ReduceMax"), -inf),
        "ReduceProd": 1.0,
        "ReduceMin": inf,
        "ReduceMean": nan,
    }
)


def of_nothing(site: Site, axes: tuple[int, ...], keepdims: int) -> Constant:
    """The result of a reduction of no elements, which is known.

    Integers and truths have no infinity, but a smallest and a largest number; they have no mean.
    """
    (result,) = reduced((site.type(),), {"axes": axes, "keepdims": keepdims})
    number, dtype = OF_NOTHING[site.op], NUMPY[result.dtype]
    if isnan(number) and result.dtype not in REALS:
        raise ModelError(f"{site.where}: {site.type()} has no mean")
    if isinf(number) and dtype.kind in "iu":
        bounds = np.iinfo(dtype.name)
        return filled(result, np.array(bounds.min if number < 0 else bounds.max, dtype))
    return filled(result, np.array(number > 0 if dtype.kind == "b" else number, dtype))


def softmax(site: Site) -> Calls:
    """Along one axis since opset 13; before, over all dimensions from ``axis`` on together."""
    if site.opset >= 13:
        return site.call(site.op, axis=site.axis(site.integer("axis", -1)))
    axis = site.axis(site.integer("axis", 1))
    if prod(site.type().dims[axis + 1 :]) == 1:
        return site.call(site.op, axis=axis)
    return _as_matrix(site, axis)


def _as_matrix(site: Site, axis: int) -> Calls:
    flat, done = f"{site.outputs[0]}#flat", f"{site.outputs[0]}/done"
    shape = {"shape": site.type().dims}
    return (
        Call("Flatten", site.inputs, {"axis": axis}, (flat,)),
        Call(site.op, (flat,), {"axis": 1}, (done,)),
        Call("Reshape", (done,), shape, site.outputs),
    )


def layer_normalization(site: Site) -> Calls:
    """Over the dimensions from ``axis`` on, computed in the element type of the input."""
    if site.integer("stash_type", 1) != 1:
        raise site.refuse("stash_type other than float32 is not supported")
    axis, epsilon = site.axis(site.integer("axis", -1)), site.number("epsilon", 1e-5)
    return site.call("LayerNormalization", axis=axis, epsilon=epsilon)


def batch_normalization(site: Site) -> Calls:
    """The inference form: mean and variance are inputs.

    That is said by ``is_test`` before opset 7, and by ``training_mode`` from opset 14 on. Without
    ``spatial``, before opset 9, every place of an image has its own.
    """
    if site.opset < 7 and not site.integer("is_test", 0):
        raise site.refuse("the statistics of training are not supported")
    if site.integer("training_mode", 0):
        return _training(site)
    epsilon = site.number("epsilon", 1e-5)
    if site.opset < 9 and not site.integer("spatial", 1) and site.rank > 2:
        return _each_place(site, epsilon)
    return site.call("BatchNormalization", epsilon=epsilon)


def _training(site: Site) -> Calls:
    """By mean and variance of the batch; a running mean moves there by 1 - ``momentum``."""
    x, y = site.inputs[0], site.outputs[0]
    over = {"axes": (0, *range(2, site.rank)), "keepdims": 1}
    kept = {**over, "keepdims": 0}
    wide, off, square, mean, variance = (f"{y}#{n}" for n in ("w", "o", "s", "m", "v"))
    calls = [
        Call("ReduceMean", (x,), over, (wide,)),
        Call("Sub", (x, wide), {}, (off,)),
        Call("Mul", (off, off), {}, (square,)),
        Call("ReduceMean", (x,), kept, (mean,)),
        Call("ReduceMean", (square,), kept, (variance,)),
        Call(
            "BatchNormalization",
            (x, *site.inputs[1:3], mean, variance),
            {"epsilon": site.number("epsilon", 1e-5)},
            (y,),
        ),
    ]
    return (*calls, *_running(site, (mean, variance)))


def _running(site: Site, now: tuple[str, str]) -> Calls:
    """The second and third output: what was, times the momentum, and the rest of what is."""
    momentum = site.number("momentum", 0.9)
    dtype = NUMPY[site.type(3).dtype]
    found: list[Call | Given] = []
    for output, old, new in zip(site.outputs[1:], site.inputs[3:], now, strict=False):
        names = tuple(f"{output}#{n}" for n in ("keep", "take", "kept", "taken"))
        keep, take, kept, taken = names
        found += [
            Given(keep, inline(np.array(momentum, dtype))),
            Given(take, inline(np.array(1 - momentum, dtype))),
            Call("Mul", (old, keep), {}, (kept,)),
            Call("Mul", (new, take), {}, (taken,)),
            Call("Add", (kept, taken), {}, (output,)),
        ]
    return tuple(found)


def _each_place(site: Site, epsilon: float) -> Calls:
    """Places are channels of a matrix, [N, C * ...]."""
    flat, done = f"{site.outputs[0]}#flat", f"{site.outputs[0]}/done"
    vectors = [f"{site.outputs[0]}#{i}" for i in range(1, 5)]
    lists = [
        Call("Reshape", (value,), {"shape": (prod(site.type().dims[1:]),)}, (vector,))
        for value, vector in zip(site.inputs[1:], vectors, strict=True)
    ]
    return (
        Call("Flatten", site.inputs[:1], {"axis": 1}, (flat,)),
        *lists,
        Call("BatchNormalization", (flat, *vectors), {"epsilon": epsilon}, (done,)),
        Call("Reshape", (done,), {"shape": site.type().dims}, site.outputs[:1]),
    )


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "ReduceSum": reduce(13),
        **dict.fromkeys(("ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin"), reduce(18)),
        **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), softmax),
        "LayerNormalization": layer_normalization,
        "BatchNormalization": batch_normalization,
    }
)
