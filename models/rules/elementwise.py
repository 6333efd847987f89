"""Ops that work element by element, with and without broadcasting."""

from collections.abc import Mapping
from types import MappingProxyType

from emu.ir.errors import ModelError
from emu.ir.ops.activations import SELU_ALPHA, SELU_GAMMA
from emu.ir.types import REALS
from emu.models.rules.site import Call, Calls, Rule, Site
from emu.models.tensors import dtype_of


def same(site: Site) -> Calls:
    """The op means the same in the table and has no attributes."""
    return site.call(site.op)


def dropout(site: Site) -> Calls:
    """Inference only: nothing is dropped."""
    if site.has(2) and bool(site.array(2, "training_mode").any()):
        raise site.refuse("training_mode is not supported")
    return site.call("Identity", site.inputs[:1])


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
    """The wanted element type by its MLIR name."""
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
    else:
        bounds = {n: site.scalar(i, n) for i, n in enumerate(names, start=1) if site.has(i)}
    return site.call("Clip", site.inputs[:1], **bounds)


def with_numbers(**defaults: float) -> Rule:
    """Return the rule of an op of the same name whose attributes are these numbers."""

    def rule(site: Site) -> Calls:
        attrs = {name: site.number(name, default) for name, default in defaults.items()}
        return site.call(site.op, **attrs)

    return rule


def modulo(site: Site) -> Calls:
    """The rest has the sign of the divisor, or of the dividend where ``fmod`` is 1."""
    fmod = site.integer("fmod", 0)
    if not fmod and site.type().dtype in REALS:
        raise ModelError(f"{site.where}: fmod must be 1 for {site.type()}")
    return site.call("Mod", fmod=fmod)


def variadic(op: str) -> Rule:
    """Return the rule of an op with any number of inputs: a chain of the binary ``op``."""

    def rule(site: Site) -> Calls:
        if len(site.inputs) == 0:
            raise ModelError(f"{site.where}: has no inputs")
        if len(site.inputs) == 1:
            return site.call("Identity")
        return _chain(site, op)

    return rule


def _chain(site: Site, op: str) -> Calls:
    calls: list[Call] = []
    left = site.inputs[0]
    for i, right in enumerate(site.inputs[1:-1]):
        partial = f"{site.outputs[0]}#{i}"
        calls.append(Call(op, (left, right), {}, (partial,)))
        left = partial
    return (*calls, Call(op, (left, site.inputs[-1]), {}, site.outputs))


SAME = (
    *("Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg", "Abs"),
    *("Floor", "Ceil", "Round", "Sign", "HardSwish", "Softplus", "Not", "Identity"),
    *("Add", "Sub", "Mul", "Div", "Pow", "Where", "Equal", "Greater", "Less", "And", "Or"),
    *("PRelu", "MatMul", "GlobalAveragePool"),
    *("GreaterOrEqual", "LessOrEqual", "Xor", "Mish", "Softsign"),
    *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
    *("Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(SAME, same),
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
