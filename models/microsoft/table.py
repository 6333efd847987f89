"""The functions of all families, by the op that each is."""

from collections.abc import Mapping

from emu.models.microsoft import (
    activations,
    attention,
    few_bits,
    fused,
    grouped,
    norms,
    quantised,
)
from emu.models.microsoft.body import Declaration

DOMAIN = "com.microsoft"
FAMILIES = (activations, fused, norms, quantised, few_bits, attention, grouped)
FUNCTIONS: Mapping[str, Declaration] = {
    name: declared for family in FAMILIES for name, declared in family.FUNCTIONS.items()
}


def declared(domain: str, op: str) -> Declaration | None:
    """Return what an op of this domain is, None if that is not known."""
    if domain == DOMAIN:
        return FUNCTIONS.get(op)
    return None if domain else norms.UNLISTED.get(op)
