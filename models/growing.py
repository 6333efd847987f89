"""The graph of a model while it grows: its values, its nodes, and what is known of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from emu.ir.errors import BadValues, ModelError
from emu.ir.graph import Constant, Graph, Node
from emu.ir.ops import find_op
from emu.ir.ops.decide import HOST_ONLY
from emu.ir.ops.table import Types
from emu.ir.types import COMPUTED, LISTED, NUMPY, Array, TensorType
from emu.models.dims import declared_type
from emu.models.model import Model
from emu.models.rules.site import Call, Site
from emu.models.tensors import array_as, array_of, inline

if TYPE_CHECKING:
    import onnx

# Arithmetic on shapes is small; anything larger is left to the passes.
FOLD_ELEMENTS = 1024


class Growing:
    """Types, constants and nodes so far; each is checked and counted as it is added."""

    def __init__(self, model: Model, inputs: Mapping[str, TensorType]) -> None:
        """Start with the inputs and constants; raise ModelError if a value is defined twice."""
        self.model, self.limits, self.inputs = model, model.limits, tuple(inputs)
        self.constants = _initializers(model)
        self.types = {**{n: c.type for n, c in self.constants.items()}, **inputs}
        self.nodes: list[Node] = []
        self.folded: list[str] = []
        self.hosted: set[str] = set()  # values that the host makes
        self.ids: set[str] = set()
        self.copies: dict[str, int] = {}
        self.folded_bytes = 0
        for name, type in inputs.items():
            self.limits.check_type(type, f"{model.origin}: input '{name}'")

    def define(self, name: str, constant: Constant) -> None:
        """Let a name be a constant; raises OverLimit where it is, or all are, too large."""
        where = f"{self.model.origin}: value '{name}'"
        self.limits.check_type(constant.type, where)
        if constant.inline is not None:
            self.folded_bytes += constant.inline.nbytes
            what = "bytes of constants with those before it"
            self.limits.check("folded_bytes", self.folded_bytes, where, what)
        self.constants[name] = constant
        self.types[name] = constant.type

    def finish(self) -> Graph:
        """Return the graph; raise ModelError when an output is missing or has another type."""
        outputs = tuple(value.name for value in self.model.proto.graph.output)
        if not outputs:
            raise ModelError(f"{self.model.origin}: the model has no outputs")
        for value in self.model.proto.graph.output:
            self._check_output(value)
        return Graph(
            self.model.name,
            self.inputs,
            outputs,
            tuple(self.nodes),
            self.types,
            self.constants,
            tuple(self.folded),
        )

    def _fresh(self, wanted: str) -> str:
        id, count = wanted, self.copies.get(wanted, 1)
        while id in self.ids:
            count += 1
            id = f"{wanted}#{count}"
        self.copies[wanted] = count  # or a thousand nodes of one name would take a million steps
        self.ids.add(id)
        self.limits.check("nodes", len(self.ids), self.model.origin, "nodes after expansion")
        return id

    def _emit(self, site: Site, call: Call, part: int, parts: int) -> None:
        op = find_op(call.op, site.where)
        types = [self.types[v] if v else None for v in call.inputs]
        try:
            results = op.infer(types, call.attrs)
        except ModelError as error:
            raise type(error)(f"{site.where}: {error}") from error
        if len(results) != len(call.outputs):
            raise ModelError(f"{site.where}: makes {len(results)} outputs, not {len(call.outputs)}")
        for made in results:
            self.limits.check_type(made, site.where)
            if made.dtype not in COMPUTED and call.op not in HOST_ONLY:
                raise site.refuse(f"emu has no rule that makes {made}")
        if call.op not in HOST_ONLY and self._reads_nothing(call, types, results):
            raise site.refuse("emu has no rule for values with no elements")
        self.types.update(zip(call.outputs, results, strict=True))
        if self._is_shape_arithmetic(call, results):
            return self._fold(site, call)
        if call.op not in HOST_ONLY and not any(type.elements for type in results):
            return self._define_empty(call, results)
        id = site.id if part == parts - 1 else self._fresh(f"{site.id}#{part}")
        self.nodes.append(Node(id, call.op, call.inputs, call.outputs, call.attrs, (site.source,)))
        if call.op in HOST_ONLY:
            self.hosted.update(call.outputs)

    def _is_shape_arithmetic(self, call: Call, results: tuple[TensorType, ...]) -> bool:
        known = [self.constants.get(v) for v in call.inputs if v]
        small = all(t.elements <= FOLD_ELEMENTS and t.dtype not in LISTED for t in results)
        return small and bool(known) and all(c and c.inline is not None for c in known)

    def _reads_nothing(self, call: Call, types: Types, results: tuple[TensorType, ...]) -> bool:
        """Whether something is computed from no elements, or of what the host may find none of."""
        if any(v in self.hosted and not self.types[v].elements for v in call.inputs):
            return True
        return _is_partly_empty(types, results)

    def _fold(self, site: Site, call: Call) -> None:
        arrays = [self.constants[v].inline if v else None for v in call.inputs]
        try:
            result: Array | tuple[Array, ...] = find_op(call.op, call.op).run(*arrays, **call.attrs)
        except BadValues as error:
            raise BadValues(f"{site.where}: {error}") from error
        made = result if isinstance(result, tuple) else (result,)
        for name, array in zip(call.outputs, made, strict=True):
            self.define(name, inline(array_as(array, self.types[name].dtype)))

    def _define_empty(self, call: Call, results: tuple[TensorType, ...]) -> None:
        """What has no elements is known, whatever it is computed from."""
        for name, type in zip(call.outputs, results, strict=True):
            self.define(name, inline(np.zeros(type.dims, NUMPY[type.dtype])))

    def _forget(self, types: int, constants: int, nodes: int, folded: int) -> None:
        """Take back what came after these counts: a rule refused its node half-way."""
        for known, count in ((self.types, types), (self.constants, constants)):
            while len(known) > count:
                known.popitem()
        del self.nodes[nodes:], self.folded[folded:]

    def _check_output(self, value: "onnx.ValueInfoProto") -> None:
        where = f"{self.model.origin}: output '{value.name}'"
        if value.name not in self.types:
            raise ModelError(f"{where} is defined nowhere")
        made = self.types[value.name]
        if value.type.tensor_type.elem_type == 0 or not value.type.tensor_type.HasField("shape"):
            return
        declared = declared_type(value, self.model.origin)
        if declared.dtype != made.dtype or len(declared.shape) != len(made.shape):
            raise ModelError(f"{where} is declared as {declared} but the nodes make {made}")


def _is_partly_empty(types: Types, results: tuple[TensorType, ...]) -> bool:
    """Whether something is computed from no elements, or beside results that have none."""
    if not any(type.elements for type in results):
        return False
    return not all(type.elements for type in (*results, *(t for t in types if t is not None)))


def _initializers(model: Model) -> dict[str, Constant]:
    found: dict[str, Constant] = {}
    for tensor in model.proto.graph.initializer:
        if tensor.name in found or not tensor.name:
            raise ModelError(f"{model.origin}: initializer '{tensor.name}' is defined twice")
        found[tensor.name] = model.weights.get(tensor.name) or inline(
            array_of(tensor, model.origin)
        )
    return found
