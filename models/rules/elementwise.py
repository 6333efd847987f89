"""Ops that work element by element, with and without broadcasting."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.ops.activations import SELU_ALPHA, SELU_GAMMA
from emu.ir.types import NUMPY, REALS, TensorType
from emu.models.rules.site import Call, Calls, Given, Rule, Site
from emu.models.tensors import dtype_named, dtype_of, filled, inline


def same(site: Site) -> Calls:
    """The op means the same in the table and has no attributes."""
    return site.call(site.op)


BROADCAST_OPSET = 7  # from here on both operands are repeated as numpy does


def binary(site: Site) -> Calls:
    """Two operands; before opset 7 the second may be repeated, from dimension ``axis`` on."""
    if site.opset >= BROADCAST_OPSET or not site.integer("broadcast", 0):
        return site.call(site.op)
    left, right = site.type(0), site.type(1)
    if "axis" not in site.attrs or not right.shape:
        return site.call(site.op)
    behind = len(left.shape) - site.axis(site.integer("axis", 0)) - len(right.shape)
    if behind < 0:
        raise ModelError(f"{site.where}: {right} from its axis on does not lie in {left}")
    return with_ones_behind(site, site.op, behind)


def with_ones_behind(site: Site, op: str, count: int) -> Calls:
    """``op`` whose second operand gets ``count`` dimensions of 1 at its end."""
    if not count:
        return site.call(op)
    wide = f"{site.outputs[0]}#wide"
    shape = (*site.type(1).dims, *(1,) * count)
    return (
        Call("Reshape", site.inputs[1:], {"shape": shape}, (wide,)),
        *site.call(op, (site.inputs[0], wide)),
    )


def p_relu(site: Site) -> Calls:
    """Slopes broadcast as numpy does; before opset 7 they are one number or one per channel."""
    slopes = site.type(1)
    per_channel = site.opset < BROADCAST_OPSET and slopes.elements > 1
    return with_ones_behind(site, "PRelu", max(site.rank - 2, 0) if per_channel else 0)


def dropout(site: Site) -> Calls:
    """Inference: nothing is dropped, so the mask is true everywhere.

    That is said by ``is_test`` before opset 7, and by ``training_mode`` from opset 12 on.
    """
    trains = site.has(2) and bool(site.array(2, "training_mode").any())
    if trains and (not site.has(1) or site.scalar(1, "the ratio") > 0):
        raise site.refuse("dropping at random, by training_mode, is not supported")
    if site.opset < 7 and not site.integer("is_test", 0):
        raise site.refuse("dropping at random, by is_test 0, is not supported")
    for name in ("ratio", "seed"):  # these say what is dropped if anything is
        site.attrs.get(name)
    kept = Call("Identity", site.inputs[:1], {}, site.outputs[:1])
    if len(site.outputs) == 1:
        return (kept,)
    dtype = "i1" if site.opset >= 10 else site.type().dtype
    return kept, Given(site.outputs[1], filled(TensorType(dtype, site.type().dims), np.array(1)))


def leaky_relu(site: Site) -> Calls:
    """The slope below zero is ``alpha``."""
    return site.call("LeakyRelu", alpha=site.number("alpha", 0.01))


def hard_sigmoid(site: Site) -> Calls:
    """alpha*x + beta, kept within [0, 1]."""
    alpha, beta = site.number("alpha", 0.2), site.number("beta", 0.5)
    return site.call("HardSigmoid", alpha=alpha, beta=beta)


def gelu(site: Site) -> Calls:
    """``approximate`` is none or tanh."""
    return site.call("Gelu", approximate=site.text("approximate", "none"))


def cast(site: Site) -> Calls:
    """The wanted element type by its MLIR name; before opset 6 ONNX has its name as well."""
    if site.opset < 6:
        return _cast(site, dtype_named(site.text("to", ""), site.where))
    return _cast(site, dtype_of(site.integer("to", 0), site.where))


def cast_like(site: Site) -> Calls:
    """The element type of the second input, whose values nobody reads."""
    return _cast(site, site.type(1).dtype)


def _cast(site: Site, to: str) -> Calls:
    if to == "f8E4M3FN" and not site.integer("saturate", 1):
        raise site.refuse("a cast that makes NaN of what is too large is not supported")
    return site.call("Cast", site.inputs[:1], to=to)


def clip(site: Site) -> Calls:
    """Bounds are attributes before opset 11 and inputs from then on; an absent one is left out."""
    names = ("min", "max")
    if site.opset < 11:
        bounds = {n: site.number(n, 0.0) for n in names if n in site.attrs}
    elif not all(v in site.constants for v in site.inputs[1:] if v):
        return _clip_by_values(site)
    else:
        bounds = {n: site.scalar(i, n) for i, n in enumerate(names, start=1) if site.has(i)}
    return site.call("Clip", site.inputs[:1], **bounds)


def _clip_by_values(site: Site) -> Calls:
    """Bounds that the model computes: the larger of x and the lower, the smaller of both."""
    value, calls = site.inputs[0], list[Call]()
    for i, op in enumerate(("Max", "Min"), start=1):
        if site.has(i):
            calls.append(Call(op, (value, site.inputs[i]), {}, (f"{site.outputs[0]}#{op}",)))
            value = calls[-1].outputs[0]
    calls[-1] = replace(calls[-1], outputs=site.outputs[:1])
    return tuple(calls)


def with_numbers(**defaults: float) -> Rule:
    """Return the rule of an op of the same name whose attributes are these numbers."""

    def rule(site: Site) -> Calls:
        attrs = {name: site.number(name, default) for name, default in defaults.items()}
        return site.call(site.op, **attrs)

    return rule


ANY_REST_OPSET = 28  # from here on real numbers have both rests


def modulo(site: Site) -> Calls:
    """The rest has the sign of the divisor, or of the dividend where ``fmod`` is 1."""
    fmod = site.integer("fmod", 0)
    if not fmod and site.opset < ANY_REST_OPSET and site.type().dtype in REALS:
        raise ModelError(f"{site.where}: fmod must be 1 for {site.type()}")
    return site.call("Mod", fmod=fmod)


def bit_shift(site: Site) -> Calls:
    """``direction`` is LEFT or RIGHT."""
    return site.call("BitShift", direction=site.text("direction", ""))


def is_infinite(site: Site) -> Calls:
    """Either infinity, unless one of them is not to be found."""
    negative, positive = (site.integer(f"detect_{sign}", 1) for sign in ("negative", "positive"))
    return site.call("IsInf", negative=negative, positive=positive)


def mean(site: Site) -> Calls | Constant:
    """The sum of any number of inputs, divided by how many they are."""
    if len(site.inputs) < 2:
        return variadic("Add")(site)
    total, count = f"{site.outputs[0]}#sum", f"{site.outputs[0]}#count"
    number = np.array(len(site.inputs), NUMPY[site.type().dtype])
    return (
        *_chain(site, "Add", total),
        Given(count, inline(number)),
        Call("Div", (total, count), {}, site.outputs[:1]),
    )


def variadic(op: str) -> Rule:
    """Return the rule of an op with any number of inputs: a chain of the binary ``op``."""

    def rule(site: Site) -> Calls:
        if len(site.inputs) == 0:
            raise ModelError(f"{site.where}: has no inputs")
        if len(site.inputs) == 1:
            return site.call("Identity")
        return _chain(site, op, site.outputs[0])

    return rule


def _chain(site: Site, op: str, result: str) -> Calls:
    calls: list[Call] = []
    left = site.inputs[0]
    for i, right in enumerate(site.inputs[1:-1]):
        partial = f"{site.outputs[0]}#{i}"
        calls.append(Call(op, (left, right), {}, (partial,)))
        left = partial
    return (*calls, Call(op, (left, site.inputs[-1]), {}, (result,)))


SAME = (
    *("Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg", "Abs"),
    *("Floor", "Ceil", "Round", "Sign", "HardSwish", "Softplus", "Not", "Identity"),
    *("Where", "MatMul", "GlobalAveragePool"),
    *("GreaterOrEqual", "LessOrEqual", "Mish", "Softsign"),
    *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
    *("Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
    *("IsNaN", "BitwiseNot"),
)
BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Equal", "Greater", "Less", "And", "Or", "Xor")
BITS = ("BitwiseAnd", "BitwiseOr", "BitwiseXor")

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(SAME, same),
        **dict.fromkeys(BINARY, binary),
        **dict.fromkeys(BITS, same),
        "BitShift": bit_shift,
        "IsInf": is_infinite,
        "Mean": mean,
        "PRelu": p_relu,
        "Dropout": dropout,
        "LeakyRelu": leaky_relu,
        "HardSigmoid": hard_sigmoid,
        "Gelu": gelu,
        "Cast": cast,
        "CastLike": cast_like,
        "Clip": clip,
        "Mod": modulo,
        **dict.fromkeys(("Elu", "Celu", "Swish", "ThresholdedRelu"), with_numbers(alpha=1.0)),
        "Selu": with_numbers(alpha=SELU_ALPHA, gamma=SELU_GAMMA),
        "Shrink": with_numbers(bias=0.0, lambd=0.5),
        "Max": variadic("Max"),
        "Min": variadic("Min"),
        "Sum": variadic("Add"),
    }
)
