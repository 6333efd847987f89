"""emu's own ops, and the ops of the standard that do the same.

Tables of kernels and dispatch tables name ops of the standard: who asks for a kernel of an own op
asks for these.
"""

from collections.abc import Mapping
from types import MappingProxyType

OWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "BiasAdd": ("Add",),  # a vector along one dimension
        "DequantizeAdd": ("DequantizeLinear", "Add"),
        "MaxPoolPlaces": ("MaxPool",),  # its second output
        "TopPlaces": ("TopK",),  # its second output
    }
)


def standard(op: str) -> tuple[str, ...]:
    """The ops of the standard that an op stands for: itself, but for an own op."""
    return OWN.get(op, (op,))
