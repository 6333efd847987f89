"""Quantised models: the QDQ form, and the operators of integers that quantisers write.

All become the same few ops: products of integers, scales, and rounding to eight bits.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.ops.quantisation import MADE, WHOLE
from emu.ir.types import NUMPY
from emu.models.rules.expanding import Sketch
from emu.models.rules.site import Call, Calls, Rule, Site
from emu.models.rules.window import conv
from emu.models.tensors import dtype_of


def quantize_linear(site: Site) -> Calls:
    """The zero point says the element type, ``output_dtype`` does without one, else it is ui8."""
    wanted = site.integer("output_dtype", 0)
    to = dtype_of(wanted, site.where) if wanted else "ui8"
    _must_be_plain(site)
    if site.has(2) and not _is_one_number(site, 2):
        return _quantised_by_computed(site)
    return _quantised(site, site.inputs[0], 1, site.outputs, to)


def dequantize_linear(site: Site) -> Calls:
    """The result has the element type of the scale."""
    _must_be_plain(site)
    if site.has(2) and not _is_one_number(site, 2):
        return _real_by_computed(site)
    return _real(site, 0, site.outputs[0])


def _quantised_by_computed(site: Site) -> Calls:
    """round(x / scale) + zero point, kept within its type; the model computes the zero point."""
    to, write = site.type(2).dtype, Sketch(site)
    if to not in WHOLE:
        raise site.refuse(f"emu has no rule that quantises to {to}")
    bounds, real = np.iinfo(NUMPY[to].name), site.type(1).dtype
    x = site.inputs[0]
    if site.type().dtype != real:
        x = write("Cast", x, to=real)
    scaled = write("Div", x, _spread(write, 1))
    moved = write("Add", write("Round", scaled), write("Cast", _spread(write, 2), to=real))
    kept = write("Clip", moved, min=float(bounds.min), max=float(bounds.max))
    return write.done(write("Cast", kept, to=to))


def _real_by_computed(site: Site) -> Calls:
    """(q - zero point) * scale; the model computes the zero point."""
    write, real = Sketch(site), site.type(1).dtype
    whole = write("Cast", site.inputs[0], to=real)
    off = write("Sub", whole, write("Cast", _spread(write, 2), to=real))
    return write.done(write("Mul", off, _spread(write, 1)))


def _spread(write: Sketch, index: int) -> str:
    """A scale or a zero point, of one number or one for each place along the axis of x."""
    site, type = write.site, write.site.type(index)
    if not type.shape:
        return site.inputs[index]
    shape = [1] * site.rank
    if type.elements > 1:
        shape[site.axis(site.integer("axis", 1))] = type.elements
    return write("Reshape", site.inputs[index], shape=tuple(shape))


def _must_be_plain(site: Site) -> None:
    if site.integer("block_size", 0):
        raise site.refuse("scales of blocks are not supported")


def _quantised(
    site: Site, value: str, scale: int, outputs: tuple[str, ...], to: str = "ui8"
) -> Calls:
    """``value`` in few bits, by the scale that is input ``scale`` and the zero point behind."""
    if site.has(scale + 1):
        to = site.type(scale + 1).dtype
    if to not in MADE:
        raise site.refuse(f"emu has no rule that quantises to {to}")
    name, calls = _scale(site, scale, outputs[0])
    attrs = {"to": to, "zero_point": _zero_point(site, scale + 1), "axis": site.integer("axis", 1)}
    return (*calls, Call("QuantizeLinear", (value, name), attrs, outputs[:1]))


def _real(site: Site, first: int, output: str) -> Calls:
    """Input ``first`` as real numbers: its scale and zero point are the two inputs behind it."""
    name, calls = _scale(site, first + 1, output)
    attrs = {
        "to": site.type(first + 1).dtype,
        "zero_point": _zero_point(site, first + 2),
        "axis": site.integer("axis", 1),
    }
    return (*calls, Call("DequantizeLinear", (site.inputs[first], name), attrs, (output,)))


def _scale(site: Site, index: int, near: str) -> tuple[str, Calls]:
    """The name of a scale; one number in a list becomes one number."""
    name = site.inputs[index]
    if site.type(index).shape != (1,):
        return name, ()
    single = f"{near}#scale{index}"
    return single, (Call("Reshape", (name,), {"shape": ()}, (single,)),)


def _zero_point(site: Site, index: int) -> int:
    """The one zero point of all places, 0 if it is absent."""
    if not site.has(index):
        return 0
    points = np.unique(site.array(index, "the zero point").astype(np.int64))
    if points.size > 1:
        raise site.refuse("zero points that differ between places are not supported")
    return int(points[0]) if points.size else 0


def conv_integer(site: Site) -> Calls:
    """x, w and their zero points; sums are i32.

    A zero point of x that the model computes is taken off the sums, as often as each has a weight
    in it: the convolution of ones with w.
    """
    if not site.has(2) or _is_one_number(site, 2):
        return site.call("ConvInteger", site.inputs[:2], **_conv_attrs(site, 2, 3))
    site.only_first_output()
    _must_be_single(site, 2)
    write = Sketch(site)
    attrs = _conv_attrs(replace(site, inputs=(*site.inputs[:2], "", *site.inputs[3:])), 2, 3)
    ones = write.given(np.ones((1, *site.type().dims[1:]), np.uint8))
    weights = write("ConvInteger", ones, site.inputs[1], **attrs)
    zero = write("Reshape", write("Cast", site.inputs[2], to="i32"), shape=())
    raw = write("ConvInteger", *site.inputs[:2], **attrs)
    return write.done(write("Sub", raw, write("Mul", weights, zero)))


def matmul_integer(site: Site) -> Calls:
    """a, b and their zero points; sums are i32.

    With zero points za and zb that the model computes, or that differ, sum (a - za) (b - zb) is
    sum a b - za sum b - zb sum a + K za zb, all of integers.
    """
    computed = [i for i in (2, 3) if site.has(i) and not _is_one_number(site, i)]
    if not computed:
        return site.call("MatMulInteger", site.inputs[:2], **_zero_points(site, 2, 3))
    site.only_first_output()
    if min(len(site.type(i).shape) for i in (0, 1)) < 2:
        raise site.refuse("a vector with a zero point that is computed is not supported")
    write = Sketch(site)
    known = {i: 0 if i in computed else _zero_point(site, i) for i in (2, 3)}
    attrs = {"x_zero_point": known[2], "w_zero_point": known[3]}
    whole = write("MatMulInteger", *site.inputs[:2], **attrs)
    zeros = {i: _placed_zero(write, i) for i in computed}
    for i, zero in zeros.items():
        other = 5 - i  # what is summed is the factor that this zero point does not belong to
        whole = write("Sub", whole, write("Mul", _summed(write, other, known[other]), zero))
    if len(zeros) == 2:
        both = write("Mul", zeros[2], zeros[3])
        depth = write.given(np.array(site.type().dims[-1], np.int32))
        whole = write("Add", whole, write("Mul", both, depth))
    return write.done(whole)


def _is_one_number(site: Site, index: int) -> bool:
    """Whether an input is known, and the same at all places."""
    constant = site.constants.get(site.inputs[index])
    known = None if constant is None else constant.inline
    return known is not None and np.unique(known).size <= 1


def _must_be_single(site: Site, index: int) -> None:
    if site.type(index).elements != 1:
        raise site.refuse("zero points that differ between places are not supported")


def _placed_zero(write: Sketch, index: int) -> str:
    """The zero point that is input ``index`` in i32; many are along rows (2) or columns (3)."""
    whole = write("Cast", write.site.inputs[index], to="i32")
    count = write.site.type(index).elements
    if len(write.site.type(index).shape) > 1:
        raise write.site.refuse("zero points of more than one dimension are not supported")
    return write("Reshape", whole, shape=(count, 1) if index == 2 else (1, count))


def _summed(write: Sketch, zero: int, known: int) -> str:
    """The sums along the depth of the factor whose zero point is input ``zero``, less that."""
    factor = zero - 2
    whole = write("Cast", write.site.inputs[factor], to="i32")
    if known:
        whole = write("Sub", whole, write.given(np.array(known, np.int32)))
    rank = len(write.site.type(factor).shape)
    return write("ReduceSum", whole, axes=(rank - 1 - factor,), keepdims=1)


def _zero_points(site: Site, x: int, w: int) -> dict[str, int]:
    return {"x_zero_point": _zero_point(site, x), "w_zero_point": _zero_point(site, w)}


def _conv_attrs(site: Site, x: int, w: int, weight: int = 1) -> dict[str, int | tuple[int, ...]]:
    """Attributes of a Conv over inputs 0 and ``weight``, with zero points from inputs x and w."""
    plain = replace(site, inputs=(site.inputs[0], site.inputs[weight]))
    attrs = conv(plain)[0].attrs
    numbers = {k: v for k, v in attrs.items() if isinstance(v, int | tuple)}
    return {**{k: _whole(v) for k, v in numbers.items()}, **_zero_points(site, x, w)}


def _whole(value: int | tuple[int, ...] | tuple[float, ...]) -> int | tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, tuple) else value


def qlinear_conv(site: Site) -> Calls:
    """x, w and y with scale and zero point each, and a bias in the sums' own unit."""
    attrs = _conv_attrs(site, 2, 5, weight=3)
    sums = _sums(site, "ConvInteger", attrs, site.inputs[3])
    biased = _biased(site, 8, "BiasAdd", {"axis": 1})
    return (*sums, *biased, *_scaled(site, 1), *_rounded(site, 6))


def qlinear_matmul(site: Site) -> Calls:
    """a, b and y with scale and zero point each."""
    sums = _sums(site, "MatMulInteger", _zero_points(site, 2, 5), site.inputs[3])
    axis = max(len(site.type().shape), len(site.type(3).shape)) - 1
    return (*sums, *_biased(site, 8, "Add", {}), *_scaled(site, axis), *_rounded(site, 6))


def _part(site: Site, what: str) -> str:
    return f"{site.outputs[0]}#{what}"


def _sums(site: Site, op: str, attrs: Attrs, weight: str) -> Calls:
    return (Call(op, (site.inputs[0], weight), attrs, (_part(site, "sums"),)),)


def _biased(site: Site, bias: int, op: str, attrs: Attrs) -> Calls:
    """The sums with input ``bias``, or as they are."""
    sums, biased = _part(site, "sums"), (_part(site, "biased"),)
    if not site.has(bias):
        return (Call("Identity", (sums,), {}, biased),)
    return (Call(op, (sums, site.inputs[bias]), attrs, biased),)


def _scaled(site: Site, axis: int) -> Calls:
    """The sums as real numbers: times the scales that are inputs 1 and 4."""
    x, x_calls = _scale(site, 1, site.outputs[0])
    w, w_calls = _scale(site, 4, site.outputs[0])
    both, real = _part(site, "scale"), _part(site, "real")
    attrs = {"axis": axis, "to": "f32", "zero_point": 0}
    inputs = (_part(site, "biased"), both)
    product = Call("Mul", (x, w), {}, (both,))
    return (*x_calls, *w_calls, product, Call("DequantizeLinear", inputs, attrs, (real,)))


def _rounded(site: Site, scale: int) -> Calls:
    return _quantised(site, _part(site, "real"), scale, site.outputs)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "QuantizeLinear": quantize_linear,
        "DequantizeLinear": dequantize_linear,
        "ConvInteger": conv_integer,
        "MatMulInteger": matmul_integer,
        "QLinearConv": qlinear_conv,
        "QLinearMatMul": qlinear_matmul,
    }
)
