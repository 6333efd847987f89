"""Fusion: which nodes form one group, by scope, with a Decision for every merge and refusal."""

from collections.abc import Mapping
from types import MappingProxyType

from emu.ir.errors import BadOption, UnknownName
from emu.ir.fusion.cut import cut
from emu.ir.fusion.patterns import fuse_patterns
from emu.ir.fusion.regions import Region, merge, regions
from emu.ir.fusion.vertical import fuse_vertical
from emu.ir.graph import Graph
from emu.ir.group import Fused

SCOPES = ("none", "pattern", "vertical", "global")
SCOPE_SAYS: Mapping[str, str] = MappingProxyType(
    {
        "none": "one node a group",
        "pattern": "exact subgraphs of a rule table, first match",
        "vertical": "an anchor or reduction with the simple nodes around it, by post-dominators",
        "global": "several anchors run tile by tile where the device's cost model says it pays",
    }
)

__all__ = ["SCOPES", "SCOPE_SAYS", "Region", "fuse", "merge", "regions"]


def fuse(graph: Graph, scope: str) -> Fused:
    """Return the groups of ``graph`` under a scope that needs no device.

    Raises UnknownName for a scope that does not exist, BadOption for ``global``, whose regions a
    device has to choose (``regions`` and ``merge``), UnsupportedOp for an op without a rule.
    """
    if scope == "none":
        return cut(graph, "none", ([i] for i in range(len(graph.nodes))), ())
    if scope == "pattern":
        return fuse_patterns(graph)
    if scope == "vertical":
        return fuse_vertical(graph)
    if scope == "global":
        raise BadOption("scope 'global' needs a device: fuse vertically, then merge its regions")
    raise UnknownName("scope", scope, SCOPES)
