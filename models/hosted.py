"""ONNX nodes that emu has no op for, as the host computes them, one by one.

Their types are those of ONNX's own rules where these are complete; else those that occurred when
the node met the values of given inputs, and the program is one for such values.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from emu.ir.errors import BadValues, DataDependent, ModelError, UnsupportedOp
from emu.ir.graph import Attr, Constant
from emu.ir.held import value_type
from emu.ir.ops.image import IMAGE_DECODER, must_have_pillow
from emu.ir.ops.onnx_node import ONNX_NODE, evaluated, must_know, node_as_text, types_as_text
from emu.ir.ops.table import OPS, Types
from emu.ir.types import LISTED, TensorType
from emu.models.occurred import Occurred
from emu.models.rules.site import Call, Site
from emu.models.scope import GRAPH, domain_of
from emu.models.tensors import DTYPES, ELEM_TYPES, type_proto

if TYPE_CHECKING:
    import onnx
    from onnx.defs import OpSchema

SUBGRAPHS = (GRAPH, 10)  # AttributeProto.AttributeType of one subgraph and of several
# Modes that opset 20 gave other names, the only ones that onnx.reference knows.
RENAMED = {b"bilinear": b"linear", b"bicubic": b"cubic"}
SAMPLER = "GridSample"
TOKENIZER = ("com.microsoft", "Tokenizer")
SEED = "seed"
SEED_BITS = 24  # a seed may be a float32, which holds these exactly


def host_call(site: Site, node: "onnx.NodeProto", occurred: Occurred | None) -> tuple[Call]:
    """Return the call that lets the host compute ``node``.

    Raises UnsupportedOp for an op that neither emu nor onnx.reference knows, MissingExtra for one
    that needs a package, ModelError where ONNX's rules refuse the node, and DataDependent where
    only values say which types it makes and there are none.
    """
    schema, opset = _schema(site, node), site.opset
    _must_take(site, schema)
    plain = _plain(site, node, schema)
    text = node_as_text(plain)
    if node.op_type == IMAGE_DECODER:
        must_have_pillow(site.where)
    if why := must_know(text, opset):
        raise UnsupportedOp(f"{site.where}: {why}")
    known = inferred(site, plain, schema)
    types = _occurred(site, text, opset, occurred) if known is None else known
    flops = _operations(site, [site.types[v] if v else None for v in site.inputs], types)
    attrs: dict[str, Attr] = {"node": text, "opset": opset, "types": types_as_text(types)}
    attrs |= {"flops": flops, "occurred": int(known is None)}
    return (Call(ONNX_NODE, site.inputs, attrs, site.outputs),)


def host_copy(site: Site, type: TensorType) -> tuple[Call]:
    """Return the call that gives a value, which only the host holds, another name there."""
    from onnx import NodeProto

    text = node_as_text(NodeProto(op_type="Identity", input=site.inputs, output=site.outputs))
    attrs: dict[str, Attr] = {"node": text, "opset": site.opset, "types": types_as_text((type,))}
    return (Call(ONNX_NODE, site.inputs, attrs, site.outputs),)


def _schema(site: Site, node: "onnx.NodeProto") -> "OpSchema":
    from onnx.defs import SchemaError, get_schema

    if (node.domain, node.op_type) == TOKENIZER:
        from emu.ir.ops.tokenizer import schema

        return schema()
    try:
        return get_schema(node.op_type, site.opset, domain_of(node.domain))
    except SchemaError as error:
        domain = node.domain or "ai.onnx"
        raise UnsupportedOp(
            f"node '{site.id}': op '{node.op_type}' of domain '{domain}', opset {site.opset},"
            f" is not supported"
        ) from error


def _must_take(site: Site, schema: "OpSchema") -> None:
    """Raise ModelError for an element type that ONNX's schema does not allow."""
    bound: dict[str, str] = {}
    for index, name in enumerate(site.inputs):
        if not name or site.types[name].dtype in LISTED:
            continue
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        given = _spelled(site.types[name])
        allowed = {t.removeprefix("optional(").rstrip(")") for t in formal.types}
        if given.rstrip(")") not in allowed:
            raise ModelError(f"{site.where}: takes no {given} as '{formal.name}'")
        if formal.is_homogeneous and bound.setdefault(formal.type_str, given) != given:
            raise ModelError(f"{site.where}: takes {bound[formal.type_str]}, not {given} as well")


def _spelled(type: TensorType) -> str:
    """The element type as ONNX's schemas spell it."""
    from onnx import TensorProto

    return f"tensor({TensorProto.DataType.Name(ELEM_TYPES[type.dtype]).lower()})"


def _plain(site: Site, node: "onnx.NodeProto", schema: "OpSchema") -> "onnx.NodeProto":
    """The node as onnx.reference spells it, with names by position, and with a seed.

    A seed that the node does not give is made of its name: runs are repeatable.
    """
    from onnx import NodeProto, helper

    if any(a.type in SUBGRAPHS or a.ref_attr_name for a in node.attribute):
        raise site.refuse("the host computes single nodes, without subgraphs")
    plain = NodeProto()
    plain.CopyFrom(node)
    plain.domain = domain_of(node.domain)
    plain.input[:] = site.inputs
    plain.output[:] = site.outputs
    if node.op_type == SAMPLER:
        for attr in plain.attribute:
            if attr.s in RENAMED:
                attr.s = RENAMED[attr.s]
    wants_seed = SEED in schema.attributes and all(a.name != SEED for a in node.attribute)
    if wants_seed:
        digest = blake2b(site.id.encode(), digest_size=SEED_BITS // 8).digest()
        number, kind = int.from_bytes(digest, "little"), str(schema.attributes[SEED].type)
        seed = float(number) if kind.endswith("FLOAT") else number
        plain.attribute.append(helper.make_attribute(SEED, seed))
    return plain


def inferred(
    site: Site, node: "onnx.NodeProto", schema: "OpSchema"
) -> tuple[TensorType, ...] | None:
    """Return the types of the outputs by ONNX's rules and the constants; None if not complete."""
    from onnx import helper
    from onnx.checker import ValidationError
    from onnx.shape_inference import InferenceError, infer_node_outputs

    read = {name: site.types[name] for name in node.input if name}
    if any(type.dtype in LISTED for type in read.values()):
        return None
    imports = [helper.make_opsetid(node.domain, site.opset)]
    protos = {name: type_proto(type) for name, type in read.items()}
    try:
        found = infer_node_outputs(schema, node, protos, _data(read, site.constants), None, imports)
    except (InferenceError, ValidationError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{site.where}: {reason}") from error
    types = tuple(_complete(found.get(name)) for name in node.output)
    if any(dim < 0 for type in types if type is not None for dim in type.dims):
        shapes = ", ".join(str(type) for type in types if type is not None)
        raise ModelError(f"{site.where}: makes {shapes}")
    return None if None in types else tuple(t for t in types if t is not None)


def _data(
    read: Mapping[str, TensorType], constants: Mapping[str, Constant]
) -> dict[str, "onnx.TensorProto"]:
    from onnx.numpy_helper import from_array

    known = {v: constants[v].inline for v in read if v in constants}
    return {v: from_array(array, v) for v, array in known.items() if array is not None}


def _complete(proto: "onnx.TypeProto | None") -> TensorType | None:
    """A type of numbers whose dimensions are all known, else None."""
    if proto is None or not proto.HasField("tensor_type"):
        return None
    tensor = proto.tensor_type
    dtype = DTYPES.get(tensor.elem_type, "string")
    if dtype == "string" or not tensor.HasField("shape"):
        return None
    if not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return TensorType(dtype, tuple(dim.dim_value for dim in tensor.shape.dim))


def _occurred(
    site: Site, text: str, opset: int, occurred: Occurred | None
) -> tuple[TensorType, ...]:
    if occurred is None:
        raise DataDependent(
            f"{site.where}: only values say which types it makes, so run it with values"
        )
    values = tuple(occurred.value(v) if v else None for v in site.inputs)
    try:
        return tuple(value_type(value) for value in evaluated(text, opset, values))
    except BadValues as error:
        raise BadValues(f"{site.where}: {error}") from error


def _operations(site: Site, ins: Types, outs: Sequence[TensorType]) -> int:
    """The operations of an op that emu's table has a formula for, else 0: bytes are the price."""
    if site.op not in OPS:
        return 0
    attrs = {k: v for k, v in site.attrs.items() if isinstance(v, int | float | str)}
    try:
        work = OPS[site.op].work(ins, outs, attrs)
    except (ArithmeticError, LookupError, ModelError, TypeError, ValueError):
        return 0  # the formula does not hold for these types
    return int(work.flops + work.transcendentals)
