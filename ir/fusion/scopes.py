"""The fusion scopes by name, each including those before it."""

from collections.abc import Mapping
from types import MappingProxyType

from emu.ir.errors import UnknownName

SCOPE_SAYS: Mapping[str, str] = MappingProxyType(
    {
        "none": "one node a group",
        "pattern": "exact subgraphs of a rule table",
        "vertical": "an anchor or reduction with the simple nodes around it, one exit",
        "horizontal": "independent vertical groups of one kind and shape in one launch",
        "global": "several anchors run tile by tile, so that what is between stays on chip",
    }
)
SCOPES = tuple(SCOPE_SAYS)


def scopes_within(scope: str) -> tuple[str, ...]:
    """The scope and all smaller ones, small to large; raises UnknownName for no scope."""
    if scope not in SCOPES:
        raise UnknownName("fusion scope", scope, SCOPES)
    return SCOPES[: SCOPES.index(scope) + 1]
