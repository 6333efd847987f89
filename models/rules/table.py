"""The rules of all families, by the op that each reads."""

from collections.abc import Mapping

from emu.models.rules import (
    attention,
    constant,
    einsum,
    elementwise,
    expanding,
    indexing,
    norm,
    quantisation,
    recurrent,
    resize,
    sampling,
    shape,
    spreading,
    window,
)
from emu.models.rules.site import Rule
from emu.models.scope import domain_of

FAMILIES = (
    *(elementwise, shape, indexing, norm, window),
    *(attention, expanding, einsum, recurrent, quantisation, resize, constant, spreading, sampling),
)
RULES: Mapping[str, Rule] = {
    name: rule for family in FAMILIES for name, rule in family.RULES.items()
}


def is_known(domain: str, op: str) -> bool:
    """Return whether there is a rule for the op of this domain."""
    return not domain_of(domain) and op in RULES
