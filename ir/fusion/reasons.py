"""Why a merge is refused: one text for each code, about two nodes or groups by their ops."""

from collections.abc import Mapping
from types import MappingProxyType

WHY: Mapping[str, str] = MappingProxyType(
    {
        "no-rule": "{node} and {reader} are no exact subgraph of the rule table",
        "second-anchor": "a group has one anchor, and {reader} is in the group of another",
        "anchor-into-reduction": "{reader} folds whole dimensions, which no tile of {node} covers",
        "reduction-forward": "a reduction never fuses forward: {reader} needs all of its result",
        "opaque": "an opaque op is a wall",
        "two-readers": "not every path from {node} leads to {reader} through simple nodes",
        "model-output": "the value is also an output of the model",
        "producer-into-anchor": (
            "{reader} has an anchor, and only what comes after an anchor joins it"
        ),
        "injective-into-reduction": (
            "{node} moves elements, and {reader} would fold them out of order"
        ),
        "dependent": "{reader} needs what {node} makes, so one launch cannot hold both",
        "other-kind": "{node} and {reader} are not the same ops with the same attributes",
        "other-shape": "{node} and {reader} have other shapes, so their tiles do not align",
        "cycle": "a group between {node} and {reader} would have to run before and after them",
        "whole-image": "no band of rows of {node} makes {reader}, which folds the whole image",
        "two-entries": "a chain of convs starts from one value, and {reader} needs another one",
        "many-anchors": "{node} and {reader} have more anchors than one region may have",
    }
)


def why(code: str, node: str, reader: str) -> str:
    """The text of a code, about the ops of a producer and of its reader (or of two siblings)."""
    return WHY[code].format(node=node, reader=reader)
