"""Attributes that a rule did not read: what changes values is heeded, or the rule is not for it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from emu.models.rules.site import OnnxAttr

if TYPE_CHECKING:
    import onnx


class ReadAttrs(Mapping[str, OnnxAttr]):
    """The attributes of a node, and the names of those that were asked for."""

    def __init__(self, attrs: Mapping[str, OnnxAttr]) -> None:
        """Take the attributes, none of them read."""
        self.attrs = attrs
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> OnnxAttr:
        self.read.add(name)
        return self.attrs[name]

    def __iter__(self) -> Iterator[str]:
        self.read |= self.attrs.keys()
        return iter(self.attrs)

    def __len__(self) -> int:
        return len(self.attrs)


def unheeded(node: "onnx.NodeProto", opset: int, attrs: ReadAttrs) -> str | None:
    """Return an attribute that ONNX's schema has, that is not at its default, and nobody read."""
    unread = [a for a in node.attribute if a.name not in attrs.read]
    if not unread:
        return None
    from onnx.defs import SchemaError, get_schema

    try:
        known = get_schema(node.op_type, opset, "").attributes
    except SchemaError:
        return None  # an op of another vendor, whose rule is its only description
    return next((a.name for a in unread if a.name in known and not _is_default(a, known)), None)


def _is_default(
    attr: "onnx.AttributeProto", known: "Mapping[str, onnx.defs.OpSchema.Attribute]"
) -> bool:
    from onnx.helper import get_attribute_value

    default = known[attr.name].default_value
    given = get_attribute_value(attr)
    return default.type != 0 and bool(get_attribute_value(default) == given)
