"""Nodes of an ONNX graph, one after the other, into nodes of emu's graph."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emu.ir.errors import (
    BadValues,
    DataDependent,
    EmuError,
    ModelError,
    NotConstant,
    UnsupportedOp,
    WrongElement,
)
from emu.ir.graph import Attrs, Constant, Graph, Node
from emu.ir.ops import find_op
from emu.ir.ops.onnx_node import ONNX_NODE
from emu.ir.ops.table import Types
from emu.ir.place import at
from emu.ir.types import COMPUTED, LISTED, NUMPY, Array, TensorType
from emu.models.attributes import READ, attributes
from emu.models.control import READERS
from emu.models.dims import declared_type
from emu.models.functions import NESTED, Functions, call_scope, schema_body
from emu.models.hosted import host_call
from emu.models.model import Model
from emu.models.occurred import Occurred
from emu.models.rules.heeded import ReadAttrs, unheeded
from emu.models.rules.site import Call, Calls, Given, Site
from emu.models.rules.table import RULES, is_known
from emu.models.scope import GRAPH, Scope, domain_of, scope_of
from emu.models.tensors import array_as, array_of, inline

if TYPE_CHECKING:
    import onnx

# Arithmetic on shapes is small; anything larger is left to the passes.
FOLD_ELEMENTS = 1024


class Importer:
    """The graph of a model while it grows node by node."""

    def __init__(
        self,
        model: Model,
        opset: int,
        inputs: Mapping[str, TensorType],
        samples: Mapping[str, Any] | None = None,
    ) -> None:
        """Start with the inputs and constants; raise ModelError if a value is defined twice."""
        self.model, self.limits, self.inputs = model, model.limits, tuple(inputs)
        self.constants = _initializers(model)
        self.types = {**{n: c.type for n, c in self.constants.items()}, **inputs}
        self.nodes: list[Node] = []
        self.folded: list[str] = []
        self.hosted: set[str] = set()  # values that the host makes
        self.ids: set[str] = set()
        self.copies: dict[str, int] = {}
        self.folded_bytes = self.trips = 0
        self.occurred = None if samples is None else self._occurring(samples)
        for name, type in inputs.items():
            self.limits.check_type(type, f"{model.origin}: input '{name}'")
        opsets = {domain_of(o.domain): o.version for o in model.proto.opset_import}
        self.scope = scope_of(model.proto.graph, {**opsets, "": opset})
        self.functions = Functions(model.proto, model.origin, self.limits)

    def add(self, proto: "onnx.NodeProto", usual: str = "") -> None:
        """Read the next node; raise UnsupportedOp or ModelError that names it.

        ``usual`` is what it is called if it has no name.
        """
        node = self.scope.resolved(proto)
        site = self._site(node, node.name or usual or f"{node.op_type}_{len(self.ids)}")
        at(site.where)
        self._check(site)
        if not domain_of(node.domain) and node.op_type in READERS:
            return READERS[node.op_type](self, site, node)
        before = len(self.types), len(self.constants), len(self.nodes), len(self.folded)
        try:
            self._take(site, self._ruled(site, node))
        except (WrongElement, UnsupportedOp) as error:
            if isinstance(error, NotConstant) and error.value in self.inputs:
                raise  # who gives the inputs can say it
            self._forget(*before)
            self._otherwise(site, node, error)

    def _ruled(self, site: Site, node: "onnx.NodeProto") -> Calls | Constant:
        """What the rule of an op answers; raise UnsupportedOp where there is none for this node."""
        if not is_known(node.domain, node.op_type):
            domain = node.domain or "ai.onnx"
            raise UnsupportedOp(
                f"node '{site.id}': op '{node.op_type}' of domain '{domain}',"
                f" opset {site.opset}, is not supported"
            )
        for attr in node.attribute:
            if attr.type == GRAPH:
                raise ModelError(f"{site.where}: attribute '{attr.name}' is a graph; it has none")
            if attr.type not in READ:
                raise site.refuse(f"attribute '{attr.name}' of type {attr.type} is not supported")
        for value in site.inputs:
            if value and self.types[value].dtype not in COMPUTED:
                raise site.refuse(f"emu has no rule for {self.types[value]}")
        read = ReadAttrs(site.attrs)
        answer = RULES[site.op](replace(site, attrs=read))
        if name := unheeded(node, site.opset, read):
            raise site.refuse(f"attribute '{name}' is not supported")
        return answer

    def _otherwise(self, site: Site, node: "onnx.NodeProto", refused: EmuError) -> None:
        """A node that no rule reads: the function that it is, else a call of the host.

        Raises what emu's rule said where ONNX knows no better.
        """
        body = None if isinstance(refused, NotConstant) else self._body(site, node)
        if body is not None:
            return self._call(site, node, body)
        try:
            answer = host_call(site, node, self.occurred)
        except DataDependent as error:
            raise DataDependent(f"{refused}; {error}") from error
        except (ModelError, UnsupportedOp) as error:
            raise refused from error
        self._take(site, answer)

    def _body(self, site: Site, node: "onnx.NodeProto") -> "onnx.FunctionProto | None":
        """The function that a node calls: of the model, else of ONNX itself."""
        own = self.functions.called(node)
        if own is not None:
            size = len(self.ids) + self.functions.size(node, site.where)
            self.limits.check("nodes", size, site.where, "nodes after expansion")
            return own
        opset = self.scope.opsets.get(domain_of(node.domain))
        if opset is None:
            return None
        return schema_body(node, opset, [self.types[v] if v else None for v in node.input])

    def _call(self, site: Site, node: "onnx.NodeProto", body: "onnx.FunctionProto") -> None:
        """Read the nodes of a function in place of the node that calls it."""
        scope = call_scope(body, node, self.scope, site.id, self.scope.opsets)
        before = len(self.nodes)
        with self.inside(scope, site.where):
            for place, inner in enumerate(body.node):
                self.add(inner, f"{inner.op_type}_{place}")
        for name, wanted in zip(body.output, node.output, strict=False):
            if wanted and scope.find(name) not in self.types:
                raise ModelError(
                    f"{site.where}: output '{name}' of its function is defined nowhere"
                )
        if len(self.nodes) == before:
            self.folded.append(site.source)

    @contextmanager
    def inside(self, scope: Scope, where: str) -> Generator[None, None, None]:
        """Read nodes in another scope; raises OverLimit when they are nested too deep."""
        self.limits.check("nesting", scope.depth, where, NESTED)
        outer, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = outer

    def _take(self, site: Site, answer: Calls | Constant) -> None:
        """Add what stands for a node."""
        if isinstance(answer, Constant):
            self.define(site.outputs[0], answer)
            self._fold_away(site)
            return
        for i, call in enumerate(answer):
            if isinstance(call, Given):
                self.define(call.name, call.constant)
            else:
                self._emit(site, call, i, len(answer))
        if site.outputs[0] in self.constants:
            self._fold_away(site)

    def _fold_away(self, site: Site) -> None:
        """List a node of the model whose result is known; a call stands for all inside it."""
        if self.scope.source is None:
            self.folded.append(site.source)

    def _forget(self, types: int, constants: int, nodes: int, folded: int) -> None:
        """Take back what came after these counts: a rule refused its node half-way."""
        for known, count in ((self.types, types), (self.constants, constants)):
            while len(known) > count:
                known.popitem()
        del self.nodes[nodes:], self.folded[folded:]

    def _occurring(self, samples: Mapping[str, Any]) -> Occurred:
        return Occurred(samples, self.constants, self.nodes, self.types, self.limits)

    def known(self, site: Site, value: str, what: str) -> Array:
        """Return what the host decides by; raises NotConstant where nothing says it."""
        constant = self.constants.get(value)
        if constant is None:
            raise NotConstant(site.where, what, value)
        return constant.load()

    def read(self, graph: "onnx.GraphProto") -> None:
        """Read a subgraph in the scope of now; its names are the same in every trip."""
        for tensor in graph.initializer:
            made = inline(array_of(tensor, self.model.origin))
            self.define(self.scope.define(tensor.name), made)
        for place, node in enumerate(graph.node):
            self.add(node, f"{node.op_type}_{place}")

    def count_trip(self, site: Site) -> None:
        """Count a trip of a loop; raises OverLimit where there are too many."""
        self.trips += 1
        self.limits.check("trips", self.trips, site.where, "trips of loops with those before it")

    def write(self, site: Site, op: str, inputs: tuple[str, ...], attrs: Attrs) -> str:
        """Add an op on behalf of a node, and return the name of its one output."""
        id = self._fresh(f"{site.id}#{op}")
        self._emit(replace(site, id=id), Call(op, inputs, attrs, (id,)), 0, 1)
        return id

    def alias(self, site: Site, value: str, output: str) -> None:
        """Give a value of a subgraph the name that the node gives it."""
        if value in self.constants:
            return self.define(output, self.constants[value])
        id = self._fresh(f"{site.id}#{output}")
        self._emit(replace(site, id=id), Call("Identity", (value,), {}, (output,)), 0, 1)

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

    def _site(self, proto: "onnx.NodeProto", name: str) -> Site:
        id = self._fresh(self.scope.prefix + name)
        home = self.scope.home + id.removeprefix(self.scope.prefix)
        return Site(
            id,
            proto.op_type,
            self._opset(proto),
            _trimmed(tuple(proto.input)),
            _named(_trimmed(tuple(proto.output)), id),
            attributes(proto),
            self.types,
            self.constants,
            self.scope.used_values,
            self.scope.source or home,
        )

    def _opset(self, node: "onnx.NodeProto") -> int:
        """The version of a node's domain; that of ONNX itself where the model does not say."""
        opsets = self.scope.opsets
        return opsets.get(domain_of(node.domain), opsets[""])

    def _fresh(self, wanted: str) -> str:
        id, count = wanted, self.copies.get(wanted, 1)
        while id in self.ids:
            count += 1
            id = f"{wanted}#{count}"
        self.copies[wanted] = count  # or a thousand nodes of one name would take a million steps
        self.ids.add(id)
        self.limits.check("nodes", len(self.ids), self.model.origin, "nodes after expansion")
        return id

    def _check(self, site: Site) -> None:
        for value in site.inputs:
            if value and value not in self.types:
                raise ModelError(f"{site.where}: {self._why_missing(value)}")
        if not site.outputs or not site.outputs[0]:
            raise ModelError(f"{site.where}: has no output")
        for value in site.outputs:
            if value in self.types or site.outputs.count(value) > 1:
                raise ModelError(f"{site.where}: value '{value}' is defined twice")

    def _why_missing(self, value: str) -> str:
        if value.removeprefix(self.scope.prefix) in self.scope.later:
            return f"input '{value}' is defined later: the nodes are not in order or form a cycle"
        return f"input '{value}' is defined nowhere"

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
            if made.dtype not in COMPUTED and call.op != ONNX_NODE:
                raise site.refuse(f"emu has no rule that makes {made}")
        if call.op != ONNX_NODE and self._reads_nothing(call, types, results):
            raise site.refuse("emu has no rule for values with no elements")
        self.types.update(zip(call.outputs, results, strict=True))
        if self._is_shape_arithmetic(call, results):
            return self._fold(site, call)
        if call.op != ONNX_NODE and not any(type.elements for type in results):
            return self._define_empty(call, results)
        id = site.id if part == parts - 1 else self._fresh(f"{site.id}#{part}")
        self.nodes.append(Node(id, call.op, call.inputs, call.outputs, call.attrs, (site.source,)))
        if call.op == ONNX_NODE:
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


def _trimmed(names: tuple[str, ...]) -> tuple[str, ...]:
    while names and not names[-1]:
        names = names[:-1]
    return names


def _named(outputs: tuple[str, ...], id: str) -> tuple[str, ...]:
    """Outputs that the model leaves out before others get a name that nothing reads."""
    return tuple(name or f"{id}#absent{i}" for i, name in enumerate(outputs))
