"""Each output element is one input element, elsewhere: reshapes, transposes, slices."""

from dataclasses import replace
from math import prod

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.layout import ROW_MAJOR, STORED
from emu.ir.ops.attributes import integer, integers, position, positions, take, text
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, broadcast_shape
from emu.ir.ops.work_rules import movement
from emu.ir.types import Array, TensorType

Ints = tuple[int, ...]
# Row-major, what these give is the bytes that they are given.
RESHAPES = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze"))


def reshaped(types: Types, attrs: Attrs) -> Result:
    """Shape as asked; 0 keeps the dimension of the input, one -1 takes what is left."""
    (x,) = take(types, 1)
    asked = integers(attrs, "shape")
    shape = resolve_shape(x.dims, asked)
    if prod(shape) != x.elements:
        raise ModelError(f"{x} does not reshape to {asked}")
    return (TensorType(x.dtype, shape),)


def resolve_shape(dims: Ints, asked: Ints) -> Ints:
    """Return the shape that ``asked`` means for an input of ``dims``."""
    if any(d == 0 and i >= len(dims) for i, d in enumerate(asked)) or asked.count(-1) > 1:
        raise ModelError(f"shape {asked} has no meaning for an input {dims}")
    shape = tuple(dims[i] if d == 0 else d for i, d in enumerate(asked))
    known = prod(d for d in shape if d != -1)
    return tuple(prod(dims) // max(known, 1) if d == -1 else d for d in shape)


@op("Reshape", Fusion.INJECTIVE, reshaped, movement)
def reshape(x: Array, shape: Ints) -> Array:
    """The same elements in the same order under another shape."""
    return x.reshape(resolve_shape(x.shape, shape))


def transposed(types: Types, attrs: Attrs) -> Result:
    """Dimension i of the output is dimension perm[i] of the input; reversed if absent."""
    (x,) = take(types, 1)
    perm = integers(attrs, "perm") or tuple(reversed(range(len(x.shape))))
    if sorted(perm) != list(range(len(x.shape))):
        raise ModelError(f"{perm} is no permutation of the dimensions of {x}")
    return (TensorType(x.dtype, tuple(x.dims[i] for i in perm)),)


def relaid(types: Types, attrs: Attrs) -> Result:
    """The same shape in layout ``layout``, which must be able to store it."""
    (x,) = take(types, 1)
    name = text(attrs, "layout", ROW_MAJOR, tuple(STORED))
    if not STORED[name].stores(len(x.shape)):
        raise ModelError(f"{x} cannot lie in layout '{name}'")
    return (replace(x, layout=name),)


# No group may hold two layouts, so a conversion is a wall to fusion and a group of its own.
@op("Relayout", Fusion.OPAQUE, relaid, movement)
def relayout(x: Array, layout: str = ROW_MAJOR) -> Array:
    """The same elements, which lie elsewhere in memory."""
    del layout
    return x


@op("Transpose", Fusion.INJECTIVE, transposed, movement)
def transpose(x: Array, perm: Ints = ()) -> Array:
    """The dimensions in another order."""
    return np.transpose(x, perm or None)


def flattened(types: Types, attrs: Attrs) -> Result:
    """[product before ``axis``, product from ``axis`` on]."""
    (x,) = take(types, 1)
    axis = integer(attrs, "axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        raise ModelError(f"axis {axis} is outside of {x}")
    return (TensorType(x.dtype, (prod(x.dims[:axis]), prod(x.dims[axis:]))),)


@op("Flatten", Fusion.INJECTIVE, flattened, movement)
def flatten(x: Array, axis: int = 1) -> Array:
    """A matrix of what stands before and what stands from ``axis`` on."""
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def squeezed(types: Types, attrs: Attrs) -> Result:
    """Dimensions ``axes`` vanish; they must be 1. If absent, all that are 1."""
    (x,) = take(types, 1)
    ones = tuple(i for i, d in enumerate(x.dims) if d == 1)
    axes = positions(integers(attrs, "axes", ones), len(x.shape))
    if wide := [i for i in axes if x.dims[i] != 1]:
        raise ModelError(f"dimension {wide[0]} of {x} is not 1")
    return (TensorType(x.dtype, tuple(d for i, d in enumerate(x.dims) if i not in axes)),)


@op("Squeeze", Fusion.INJECTIVE, squeezed, movement)
def squeeze(x: Array, axes: Ints | None = None) -> Array:
    """Without dimensions of size 1."""
    return np.squeeze(x, axes)


def unsqueezed(types: Types, attrs: Attrs) -> Result:
    """Dimensions of size 1 appear; ``axes`` are positions in the output."""
    (x,) = take(types, 1)
    axes = integers(attrs, "axes")
    new = positions(axes, len(x.shape) + len(axes))
    old = iter(x.dims)
    rank = range(len(x.shape) + len(axes))
    return (TensorType(x.dtype, tuple(1 if i in new else next(old) for i in rank)),)


@op("Unsqueeze", Fusion.INJECTIVE, unsqueezed, movement)
def unsqueeze(x: Array, axes: Ints) -> Array:
    """With new dimensions of size 1."""
    return np.expand_dims(x, axes)


def sliced(types: Types, attrs: Attrs) -> Result:
    """As numpy's x[start:end:step] along each of ``axes``; bounds outside are clamped."""
    (x,) = take(types, 1)
    starts, ends = integers(attrs, "starts"), integers(attrs, "ends")
    axes = integers(attrs, "axes", tuple(range(len(starts))))
    steps = integers(attrs, "steps", (1,) * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ModelError(f"slice bounds {starts}, {ends}, {axes}, {steps} do not fit together")
    shape = list(x.dims)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        dim = position(axis, len(shape))
        shape[dim] = len(range(*slice(start, end, step).indices(x.dims[dim])))
    return (TensorType(x.dtype, tuple(shape)),)


@op("Slice", Fusion.INJECTIVE, sliced, movement)
def slice_of(x: Array, starts: Ints, ends: Ints, axes: Ints = (), steps: Ints = ()) -> Array:
    """x[start:end:step] along each of ``axes``."""
    cuts = [slice(None)] * x.ndim
    steps = steps or (1,) * len(starts)
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        cuts[axis] = slice(start, end, step)
    return x[tuple(cuts)]


def expanded(types: Types, attrs: Attrs) -> Result:
    """The shape that input and ``shape`` broadcast to."""
    (x,) = take(types, 1)
    asked = TensorType(x.dtype, integers(attrs, "shape"))
    return (TensorType(x.dtype, broadcast_shape(x, asked)),)


@op("Expand", Fusion.INJECTIVE, expanded, movement)
def expand(x: Array, shape: Ints) -> Array:
    """x repeated along dimensions of size 1."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, shape))
