"""Activations by name, as fused ops have them, and Gelus; onnxruntime, ContribOperators.md."""

from collections.abc import Mapping
from types import MappingProxyType

from emu.models.microsoft.body import Body, Declaration

# The parameters of each activation in their order, with ONNX's defaults for those left out.
ACTIVATIONS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "": {},
        "Relu": {},
        "Tanh": {},
        "Sigmoid": {},
        "Softplus": {},
        "HardSwish": {},
        "LeakyRelu": {"alpha": 0.01},
        "Elu": {"alpha": 1.0},
        "ThresholdedRelu": {"alpha": 1.0},
        "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
        "Clip": {"min": float("-inf"), "max": float("inf")},
    }
)


def activated(write: Body, x: str, given: tuple[float, ...]) -> str:
    """``x`` through the activation that the call names; raises UnsupportedOp for an unknown one."""
    site = write.site
    name = site.text("activation", "")
    if name not in ACTIVATIONS:
        raise site.refuse(
            f"activation '{name}' is not supported; known are {', '.join(ACTIVATIONS)[2:]}"
        )
    defaults = ACTIVATIONS[name]
    if len(given) > len(defaults):
        raise site.refuse(f"{name or 'no activation'} with {len(given)} parameters")
    values = {**defaults, **dict(zip(defaults, given, strict=False))}
    if name == "Clip":
        return write("Clip", x, *(write.number(v) for v in values.values()))
    return write(name, x, **values) if name else x


def gelu(write: Body) -> str:
    """x * (1 + erf(x / sqrt 2)) / 2."""
    return write("Gelu", write.need(0))


def bias_gelu(write: Body) -> str:
    """Gelu of x plus a bias."""
    return write("Gelu", write.plus(write.need(0), 1))


def fast_gelu(write: Body) -> str:
    """Gelu by tanh, of x plus a bias if there is one."""
    return write("Gelu", write.plus(write.need(0), 1), approximate="tanh")


def quick_gelu(write: Body) -> str:
    """x * sigmoid(alpha x)."""
    x = write.need(0)
    alpha = write.number(write.site.number("alpha", 1.702))
    return write("Mul", x, write("Sigmoid", write("Mul", x, alpha)))


FUNCTIONS: Mapping[str, Declaration] = MappingProxyType(
    {"Gelu": gelu, "BiasGelu": bias_gelu, "FastGelu": fast_gelu, "QuickGelu": quick_gelu}
)
