"""Attributes of ONNX nodes as the values that rules read."""

from typing import TYPE_CHECKING

from emu.models.rules.site import OnnxAttr

if TYPE_CHECKING:
    import onnx

# AttributeProto.AttributeType as numbers: those that rules read.
FLOAT, INT, STRING, TENSOR, FLOATS, INTS, STRINGS = READ = (1, 2, 3, 4, 6, 7, 8)


def attributes(node: "onnx.NodeProto") -> dict[str, OnnxAttr]:
    """Return the attributes of a node that are of a type which rules read."""
    return {attr.name: _value(attr) for attr in node.attribute if attr.type in READ}


def _value(attr: "onnx.AttributeProto") -> OnnxAttr:
    simple = {FLOAT: attr.f, INT: attr.i, TENSOR: attr.t}
    if attr.type in simple:
        return simple[attr.type]
    if attr.type == STRING:
        return attr.s.decode("utf-8", "replace")
    if attr.type == STRINGS:
        return tuple(s.decode("utf-8", "replace") for s in attr.strings)
    return tuple(attr.floats if attr.type == FLOATS else attr.ints)
