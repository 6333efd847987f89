"""Type rules that several families share: unary, broadcasting, and along an axis."""

from collections.abc import Sequence

from emu.ir.errors import ModelError, WrongElement
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import (
    integer,
    integers,
    optional,
    position,
    positions,
    take,
    text,
)
from emu.ir.ops.table import TypeRule, Types
from emu.ir.types import NUMPY, REALS, TensorType

Result = tuple[TensorType, ...]


def same_as_first(types: Types, attrs: Attrs) -> Result:
    """The result has the type of the one input."""
    return take(types, 1)


def float_as_first(types: Types, attrs: Attrs) -> Result:
    """The same, for what has a meaning on real numbers only."""
    (x,) = take(types, 1)
    must_be_float(x)
    return (x,)


def truth(types: Types, attrs: Attrs) -> Result:
    """i1 in, i1 out."""
    (x,) = take(types, 1)
    must_be(x, "i1")
    return (x,)


def cast(types: Types, attrs: Attrs) -> Result:
    """The shape stays, the element type becomes ``to``."""
    (x,) = take(types, 1)
    to = attrs.get("to")
    if to not in NUMPY:
        raise ModelError(f"cannot cast to {to!r}; known: {', '.join(NUMPY)}")
    return (TensorType(str(to), x.shape),)


def broadcast(types: Types, attrs: Attrs) -> Result:
    """Two operands of one element type, repeated where a dimension is 1 or missing."""
    a, b = take(types, 2)
    must_be(b, a.dtype)
    return (TensorType(a.dtype, broadcast_shape(a, b)),)


def power(types: Types, attrs: Attrs) -> Result:
    """As broadcast, but the exponent may have an element type of its own."""
    a, b = take(types, 2)
    return (TensorType(a.dtype, broadcast_shape(a, b)),)


def comparison(types: Types, attrs: Attrs) -> Result:
    """As broadcast, with the result i1."""
    (result,) = broadcast(types, attrs)
    return (TensorType("i1", result.shape),)


def logical(types: Types, attrs: Attrs) -> Result:
    """As broadcast, all i1."""
    (result,) = broadcast(types, attrs)
    must_be(result, "i1")
    return (result,)


def choice(types: Types, attrs: Attrs) -> Result:
    """where(i1 condition, a, b), all three broadcast."""
    condition, a, b = take(types, 3)
    must_be(condition, "i1")
    must_be(b, a.dtype)
    return (TensorType(a.dtype, broadcast_shape(condition, a, b)),)


def into_first(types: Types, attrs: Attrs) -> Result:
    """The second operand is repeated to the shape of the first, never the other way."""
    (result,) = broadcast(types, attrs)
    if result != types[0]:
        raise ModelError(f"{types[1]} does not broadcast into {types[0]}")
    return (result,)


def along_axis(default: int) -> TypeRule:
    """Return the rule: a float type is kept, and the attribute ``axis`` lies inside of it."""

    def rule(types: Types, attrs: Attrs) -> Result:
        (x,) = take(types, 1)
        must_be_float(x)
        position(integer(attrs, "axis", default), len(x.shape))
        return (x,)

    return rule


def per_channel(vectors: int) -> TypeRule:
    """Return the rule: x, then ``vectors`` tensors [C] where C is dimension ``axis`` (1) of x."""

    def rule(types: Types, attrs: Attrs) -> Result:
        x, *rest = take(types, vectors + 1)
        channels = x.dims[position(integer(attrs, "axis", 1), len(x.shape))]
        for vector in rest:
            must_be(vector, x.dtype)
            must_have_shape(vector, (channels,))
        return (x,)

    return rule


def layer_norm(types: Types, attrs: Attrs) -> Result:
    """x, scale and an optional bias that broadcast to the dimensions from ``axis`` on."""
    x, scale = take(types, 2, 3)
    must_be_float(x)
    axis = position(integer(attrs, "axis", -1), len(x.shape))
    inner = TensorType(x.dtype, x.shape[axis:])
    for vector in (scale, optional(types, 2)):
        if vector is not None:
            into_first((inner, vector), {})
    return (x,)


def reduced(types: Types, attrs: Attrs) -> Result:
    """Dimensions ``axes`` (all, if absent) become 1, or vanish where keepdims is 0."""
    (x,) = take(types, 1)
    rank = len(x.shape)
    axes = positions(integers(attrs, "axes") or tuple(range(rank)), rank)
    keep = integer(attrs, "keepdims", 1)
    shape = [1 if i in axes else d for i, d in enumerate(x.dims) if keep or i not in axes]
    return (TensorType(x.dtype, tuple(shape)),)


def summed_dtype(x: TensorType, attrs: Attrs) -> str:
    """Return the element type of a product: that of ``x``, or ``out_dtype`` if it is given."""
    return text(attrs, "out_dtype", x.dtype, tuple(NUMPY))


def must_be(x: TensorType, dtype: str) -> None:
    """Raise WrongElement unless ``x`` has the element type ``dtype``."""
    if x.dtype != dtype:
        raise WrongElement(f"takes {dtype} here, not {x}")


def must_be_float(x: TensorType) -> None:
    """Raise WrongElement unless ``x`` holds real numbers."""
    if x.dtype not in REALS:
        raise WrongElement(f"takes {' or '.join(REALS)}, not {x}")


def must_have_shape(x: TensorType, shape: tuple[int, ...]) -> None:
    """Raise ModelError unless ``x`` has exactly this shape."""
    if x.dims != shape:
        raise ModelError(f"takes shape {shape} here, not {x}")


def broadcast_shape(*types: TensorType) -> tuple[int, ...]:
    """Return the shape all broadcast to; raise ModelError that shows the types if they do not."""
    rank = max(len(t.shape) for t in types)
    padded = [(1,) * (rank - len(t.shape)) + t.dims for t in types]
    return tuple(_joined(dims, types) for dims in zip(*padded, strict=True))


def _joined(dims: Sequence[int], types: Sequence[TensorType]) -> int:
    sizes = {d for d in dims if d != 1}
    if len(sizes) > 1:
        raise ModelError(f"{' and '.join(str(t) for t in types)} do not broadcast")
    return sizes.pop() if sizes else 1
