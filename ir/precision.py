"""The element types that a model can be computed in, and the passes that bring it there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from emu.ir.graph import Graph
from emu.ir.passes.integer_products import integer_products
from emu.ir.passes.lower_precision import lower_precision
from emu.ir.passes.quantise import Observe, quantise

Passes: TypeAlias = Mapping[str, Callable[[Graph], Graph]]


@dataclass(frozen=True, slots=True)
class Precision:
    """How a model is computed: element type of the factors of products, and of all the rest.

    ``tolerance`` is the error, relative to the largest output, up to which its values are those
    of the model in f32; docs/dtypes.md says how it was measured.
    """

    factors: str
    rest: str
    tolerance: float


DTYPES: Mapping[str, Precision] = MappingProxyType(
    {
        "fp32": Precision("f32", "f32", 1e-4),
        "fp16": Precision("f16", "f16", 2e-2),
        "bf16": Precision("bf16", "bf16", 1e-1),
        "int8": Precision("i8", "f32", 3e-1),
        "fp8": Precision("f8E4M3FN", "bf16", 6e-1),
    }
)
# Names of what ``passes_of`` returns, in the order in which they run.
PRECISION_PASSES = ("quantise", "integer-products", "lower-precision")


def passes_of(dtype: str, observe: Observe) -> Passes:
    """Return the passes for a name of ``DTYPES``, in order; ``observe`` calibrates when needed."""
    chosen = DTYPES[dtype]
    found: dict[str, Callable[[Graph], Graph]] = {}
    if chosen.factors != chosen.rest:
        found["quantise"] = partial(quantise, dtype=chosen.factors, observe=observe)
        found["integer-products"] = integer_products
    if chosen.rest != "f32":
        found["lower-precision"] = partial(lower_precision, dtype=chosen.rest)
    return MappingProxyType(found)
