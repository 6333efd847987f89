"""What a vertical group is: one anchor or reduction and the simple nodes around it, one exit.

The rules are those of TVM's FuseOps (Chen et al., OSDI 2018, section 3), with two differences that
the counts of IREE show: reshapes and transposes join the group of their producer, and nothing
injective enters an anchor from above.
"""

from emu.ir.fusion.structure import Nodes, Structure
from emu.ir.ops import Fusion


def vertical_code(structure: Structure, nodes: Nodes) -> str:
    """Why ``nodes`` are no vertical group; "" if they are one."""
    classes = [structure.classes[i] for i in nodes]
    if len(nodes) == 1:
        return ""
    if Fusion.OPAQUE in classes:
        return "opaque"
    if classes.count(Fusion.ANCHOR) > 1:
        return "second-anchor"
    if code := structure.exit_code(nodes):
        return code
    if Fusion.ANCHOR in classes:
        return _after_anchor(structure, nodes, classes)
    return _into_reduction(classes)


def _after_anchor(structure: Structure, nodes: Nodes, classes: list[int]) -> str:
    """All but the anchor come after it and are injective or simpler."""
    if classes[0] == Fusion.REDUCTION:
        return "reduction-forward"
    if classes[0] != Fusion.ANCHOR:
        return "producer-into-anchor"
    seen = {nodes[0]}
    for node in nodes[1:]:
        if seen.isdisjoint(structure.makers[node]):
            return "producer-into-anchor"
        seen.add(node)
    return "anchor-into-reduction" if Fusion.REDUCTION in classes else ""


def _into_reduction(classes: list[int]) -> str:
    """A reduction is the exit, and nothing that moves elements stands before it."""
    if Fusion.REDUCTION in classes[:-1]:
        return "reduction-forward"
    moves = classes[-1] == Fusion.REDUCTION and Fusion.INJECTIVE in classes
    return "injective-into-reduction" if moves else ""
