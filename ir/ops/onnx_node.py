"""One node of ONNX as it is, for the host: what emu has no op for, onnx's own reference computes.

The node is an attribute, as protobuf text; so the program that is priced says what is executed.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from emu.ir.errors import BadValues, ModelError, OtherTypes
from emu.ir.graph import Attrs
from emu.ir.held import canonical, value_type
from emu.ir.ops.attributes import integer
from emu.ir.ops.image import IMAGE_DECODER, must_be_image
from emu.ir.ops.table import Fusion, Types, Work, op
from emu.ir.ops.type_rules import Result
from emu.ir.types import NUMPY, REALS, ROW_MAJOR, TensorType

if TYPE_CHECKING:
    from onnx import NodeProto
    from onnx.reference import ReferenceEvaluator

ONNX_NODE = "Onnx"
OPTIONAL = "Optional"  # the reference makes a list of it, while an optional is its value or None


def types_as_text(types: Result) -> str:
    """Return types as one attribute: ``f32:2x3:0``, one after the other."""
    return " ".join(
        f"{t.dtype}:{'x'.join(str(d) for d in t.dims)}:{t.payload_bytes}" for t in types
    )


def types_of_text(text: str) -> Result:
    """Return what ``types_as_text`` wrote; raises ModelError for anything else."""
    try:
        return tuple(_type(part) for part in text.split())
    except ValueError as error:
        raise ModelError(f"types {text!r} are none: {error}") from error


def _type(text: str) -> TensorType:
    dtype, dims, payload = text.split(":")
    shape = tuple(int(d) for d in dims.split("x")) if dims else ()
    return TensorType(dtype, shape, ROW_MAJOR, int(payload))


def declared(types: Types, attrs: Attrs) -> Result:
    """The types that the node's outputs have: by ONNX's rules, or those that occurred."""
    if "types" not in attrs:
        raise ModelError("attribute 'types' is missing")
    return types_of_text(str(attrs["types"]))


def operations(types: Types, outs: Sequence[TensorType], attrs: Attrs) -> Work:
    """The operations that a formula gave; 0 where none is known, so that bytes are the price."""
    return Work(integer(attrs, "flops", 0))


@op(ONNX_NODE, Fusion.OPAQUE, declared, operations)
def onnx_node(
    *values: Any, node: str, opset: int, types: str, flops: int = 0, occurred: int = 0
) -> Any:
    """The outputs of an ONNX node by ``onnx.reference``, never by another runtime.

    Raises BadValues for values that it does not take, and OtherTypes where the outputs are not of
    the types that the program was compiled for.
    """
    wanted = types_of_text(types)
    found = _as_declared(evaluated(node, opset, values), wanted)
    made = tuple(value_type(value) for value in found)
    if made != wanted:
        raise OtherTypes(f"made {types_as_text(made)} where the program has {types}")
    return found


def _as_declared(found: tuple[Any, ...], wanted: Result) -> tuple[Any, ...]:
    """Reals in the width that ONNX's rules say; numpy widens those that meet its own scalars."""
    return tuple(
        array.astype(NUMPY[type.dtype]) if type.dtype in REALS and _is_real(array) else array
        for array, type in zip(found, wanted, strict=False)
    )


def _is_real(value: Any) -> bool:
    return hasattr(value, "dtype") and value_type(value).dtype in REALS


def evaluated(node: str, opset: int, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the outputs of a node for its inputs, None for an absent one; raises BadValues."""
    evaluator: Any = _evaluator(node, opset)  # onnx does not say the types of run
    if evaluator.proto_.graph.node[0].op_type == IMAGE_DECODER:
        must_be_image(values[0])
    feeds = {f"i{i}": value for i, value in enumerate(values) if f"i{i}" in evaluator.input_names}
    try:
        found = evaluator.run(None, feeds)
    except Exception as error:  # the reference raises whatever its Python happens to
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadValues(f"onnx.reference: {reason}") from error
    if evaluator.proto_.graph.node[0].op_type == OPTIONAL:
        (found,) = found
    return tuple(map(canonical, found))


def must_know(node: str, opset: int) -> str | None:
    """Return why ``onnx.reference`` cannot compute a node, None if it can."""
    try:
        _evaluator(node, opset)
    except Exception as error:  # it raises whatever its Python happens to
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return f"onnx.reference has no such op: {reason}"
    return None


def node_as_text(node: "NodeProto") -> str:
    """Return a node as an attribute: inputs and outputs go by position, absent ones are empty."""
    from google.protobuf.text_format import MessageToString
    from onnx import NodeProto

    plain = NodeProto()
    plain.CopyFrom(node)
    plain.name = plain.doc_string = ""
    plain.ClearField("metadata_props")
    plain.input[:] = [f"i{i}" if name else "" for i, name in enumerate(node.input)]
    plain.output[:] = [f"o{i}" for i, _ in enumerate(node.output)]
    return str(MessageToString(plain, as_one_line=True))


def op_of_text(text: str) -> str:
    """Return the op of a node that ``node_as_text`` wrote."""
    return _parsed(text).op_type


def _parsed(text: str) -> "NodeProto":
    from google.protobuf.text_format import Parse
    from onnx import NodeProto

    return Parse(text, NodeProto())


@lru_cache(maxsize=1024)
def _evaluator(text: str, opset: int) -> "ReferenceEvaluator":
    from onnx import TypeProto, helper
    from onnx.defs import onnx_opset_version
    from onnx.reference import ReferenceEvaluator

    from emu.ir.ops.onnx_ml import OPS_OF_ML
    from emu.ir.ops.tokenizer import Tokenizer

    node = _parsed(text)
    inputs = [helper.make_value_info(name, TypeProto()) for name in node.input if name]
    outputs = [helper.make_value_info(name, TypeProto()) for name in node.output if name]
    graph = helper.make_graph([node], node.op_type, inputs, outputs)
    opsets = {"": onnx_opset_version(), node.domain: opset}
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = helper.make_model(graph, opset_imports=imports)
    return ReferenceEvaluator(model, new_ops=[*OPS_OF_ML, Tokenizer])
