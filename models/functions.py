"""Functions: ops that are graphs of other ops, by ONNX's own description or by the model's.

ONNX gives many of its ops a function body, some of them made for the node at hand. A model may
bring functions of its own. Either is read node by node in place of the call, as if it stood there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emu.ir.errors import ModelError
from emu.ir.types import TensorType
from emu.models.limits import Limits
from emu.models.scope import GRAPH, Scope, domain_of, makes, reads
from emu.models.tensors import type_proto

if TYPE_CHECKING:
    import onnx
    from onnx.defs import OpSchema

Key = tuple[str, str, str]  # domain, name, overload
NESTED = "graphs and functions inside each other"


class Functions:
    """The functions that a model brings, and how many nodes a call of each becomes."""

    def __init__(self, model: "onnx.ModelProto", origin: str, limits: Limits) -> None:
        """Take those of a model; raises ModelError where two have one name."""
        self.limits = limits
        self.sizes: dict[Key, int] = {}
        self.known: dict[Key, onnx.FunctionProto] = {}
        for function in model.functions:
            if (key := _key(function.domain, function.name, function.overload)) in self.known:
                raise ModelError(f"{origin}: function '{function.name}' is defined twice")
            self.known[key] = function

    def called(self, node: "onnx.NodeProto") -> "onnx.FunctionProto | None":
        """Return the function that a node calls, None if the model has none of that name."""
        return self.known.get(_key(node.domain, node.op_type, node.overload))

    def size(self, node: "onnx.NodeProto", where: str, depth: int = 0) -> int:
        """Return how many nodes a node stands for at most, before any of them is read.

        That is itself, those of the function that it calls, and those of its largest subgraph, as
        one branch is taken; trips have a limit of their own. Raises OverLimit for functions that
        are nested too deep, as those are that call themselves.
        """
        key = _key(node.domain, node.op_type, node.overload)
        graphs = (attr.g.node for attr in node.attribute if attr.type == GRAPH)
        inside = max((self._sum(nodes, where, depth + 1) for nodes in graphs), default=0)
        if key not in self.known:
            return 1 + inside
        self.limits.check("nesting", depth, where, NESTED)
        if key not in self.sizes:
            self.sizes[key] = self._sum(self.known[key].node, where, depth + 1)
        return 1 + inside + self.sizes[key]

    def _sum(self, nodes: "Iterable[onnx.NodeProto]", where: str, depth: int) -> int:
        return sum(self.size(node, where, depth) for node in nodes)


def _key(domain: str, name: str, overload: str) -> Key:
    return domain_of(domain), name, overload


def schema_body(
    node: "onnx.NodeProto", opset: int, types: Sequence[TensorType | None]
) -> "onnx.FunctionProto | None":
    """Return the body that ONNX gives the op of a node in an opset; None if there is none.

    ``types`` are those of the inputs, None for one that is absent; some bodies are made for them.
    """
    from onnx.defs import SchemaError, get_schema

    try:
        schema = get_schema(node.op_type, opset, domain_of(node.domain))
    except SchemaError:
        return None
    if schema.deprecated:
        return None
    return _body(schema, node, opset, types)


def _body(
    schema: "OpSchema", node: "onnx.NodeProto", opset: int, types: Sequence[TensorType | None]
) -> "onnx.FunctionProto | None":
    from onnx import FunctionProto

    said: Any = schema  # the stubs of onnx leave these out
    if said.has_function:
        version = _newest(said.function_opset_versions, opset)
        return FunctionProto.FromString(said.get_function_with_opset_version(version))
    if said.has_context_dependent_function:
        version = _newest(said.context_dependent_function_opset_versions, opset)
        given = [type_proto(type).SerializeToString() for type in types]
        try:
            made = said.get_context_dependent_function_with_opset_version(
                version, node.SerializeToString(), given
            )
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"node '{node.name}' ({node.op_type}): {reason}") from error
        return FunctionProto.FromString(made) if made else None
    return None


def _newest(versions: Sequence[int], opset: int) -> int:
    """The newest version of a body that an opset has; the oldest there is, if none is that old."""
    return max((v for v in versions if v <= opset), default=min(versions))


def call_scope(
    function: "onnx.FunctionProto",
    node: "onnx.NodeProto",
    outer: Scope,
    id: str,
    opsets: Mapping[str, int],
) -> Scope:
    """Return the scope of a body: its inputs and outputs are the values of the call ``id``.

    Raises ModelError where the call has more inputs or outputs than the function; empty names at
    the end are none.
    """
    formal = (len(function.input), len(function.output))
    given = max((i + 1 for i, name in enumerate(node.input) if name), default=0)
    if given > formal[0] or len(node.output) > formal[1]:
        raise ModelError(
            f"node '{id}' ({node.op_type}): has {given} inputs and {len(node.output)}"
            f" outputs; the function takes {formal[0]} and {formal[1]} at most"
        )
    names = {
        name: value for name, value in zip(function.output, node.output, strict=False) if value
    }
    names.update((name, "") for name in function.input)
    names.update(zip(function.input, node.input, strict=False))
    own = {domain_of(o.domain): o.version for o in function.opset_import}
    return Scope(
        opsets={**opsets, **own},
        used=reads(function.node) | {*function.output},
        later=makes(function.node),
        prefix=f"{id}/",
        home=f"{id}/",
        source=outer.source or id,
        attrs=_attributes(function, node),
        names=names,
        depth=outer.depth + 1,
    )


def _attributes(
    function: "onnx.FunctionProto", node: "onnx.NodeProto"
) -> "dict[str, onnx.AttributeProto]":
    """What the call gives, else the function's or the op's own defaults."""
    return {
        **_defaults(node),
        **{attr.name: attr for attr in function.attribute_proto},
        **{attr.name: attr for attr in node.attribute},
    }


def _defaults(node: "onnx.NodeProto") -> "dict[str, onnx.AttributeProto]":
    from onnx.defs import get_schema, has

    domain = domain_of(node.domain)
    if not has(node.op_type, domain):
        return {}
    known = get_schema(node.op_type, domain).attributes
    return {n: a.default_value for n, a in known.items() if a.default_value.type}
