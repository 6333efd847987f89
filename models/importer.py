"""Nodes of an ONNX graph, one after the other, into nodes of emu's graph."""

from collections import ChainMap
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emu.ir.errors import (
    DataDependent,
    EmuError,
    ModelError,
    NotConstant,
    UnsupportedOp,
    WrongElement,
)
from emu.ir.graph import Attrs, Constant
from emu.ir.ops.decide import DECIDE, numbers_of
from emu.ir.place import at
from emu.ir.types import COMPUTED, Array, TensorType
from emu.models.attributes import READ, attributes
from emu.models.control import READERS
from emu.models.functions import NESTED, Functions, call_scope, schema_body
from emu.models.growing import FOLD_ELEMENTS, Growing
from emu.models.hosted import host_call, host_copy
from emu.models.microsoft.body import function_of
from emu.models.microsoft.table import declared
from emu.models.model import Model
from emu.models.occurred import Occurred
from emu.models.rules.heeded import ReadAttrs, unheeded
from emu.models.rules.site import Call, Calls, Given, Site
from emu.models.rules.table import RULES, is_known
from emu.models.scope import GRAPH, Scope, domain_of, scope_of
from emu.models.tensors import array_of, inline

if TYPE_CHECKING:
    import onnx


class Importer(Growing):
    """Reads node after node into the graph that grows."""

    def __init__(
        self,
        model: Model,
        opset: int,
        inputs: Mapping[str, TensorType],
        samples: Mapping[str, Any] | None = None,
    ) -> None:
        """Start with the inputs and constants; raise ModelError if a value is defined twice."""
        super().__init__(model, inputs)
        self.trips = 0
        self.decided: dict[str, Constant] = {}  # what the host read in the run of the samples
        self.occurred: Occurred | None = None
        if samples is not None:
            self.occurred = Occurred(samples, self.constants, self.nodes, self.types, self.limits)
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
            self._forget(*before)
            if not isinstance(error, NotConstant):
                self._otherwise(site, node, error)
            elif error.value in self.inputs and self.occurred is None:
                raise  # who gives the inputs can say it
            else:
                self._undecided(site, node, error)

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
        """A node that no rule reads: the function that it is, else a call of the host."""
        body = self._body(site, node)
        if body is not None:
            return self._call(site, node, body)
        self._host(site, node, refused, self.occurred)

    def _undecided(self, site: Site, node: "onnx.NodeProto", refused: NotConstant) -> None:
        """A node whose rule has to know a value: the host computes it if that makes no new types.

        Else the host reads the value, and the rule takes what it was.
        """
        try:
            self._host(site, node, refused, None)
        except DataDependent:
            if self.occurred is None or self.types[refused.value].elements > FOLD_ELEMENTS:
                raise
            self.known(site, refused.value, "a value")
            self._retry(site, node)

    def _retry(self, site: Site, node: "onnx.NodeProto") -> None:
        """Read a node again, now that the host has decided by one more of its values."""
        known = replace(site, constants=ChainMap(self.decided, self.constants))
        try:
            self._take(known, self._ruled(known, node))
        except NotConstant as error:
            self._undecided(site, node, error)

    def _host(
        self, site: Site, node: "onnx.NodeProto", refused: EmuError, occurred: Occurred | None
    ) -> None:
        """Let the host compute a node; raise what emu's rule said where there is one, else ONNX."""
        try:
            answer = host_call(site, node, occurred)
        except DataDependent as error:
            raise DataDependent(f"{refused}; {error}") from error
        except UnsupportedOp as error:
            raise refused from error
        except ModelError as error:
            if is_known(node.domain, node.op_type):
                raise refused from error
            raise
        self._take(site, answer)

    def _body(self, site: Site, node: "onnx.NodeProto") -> "onnx.FunctionProto | None":
        """The function that a node calls: of the model, of onnxruntime, else of ONNX itself."""
        own = self.functions.called(node)
        if own is not None:
            size = len(self.ids) + self.functions.size(node, site.where)
            self.limits.check("nodes", size, site.where, "nodes after expansion")
            return own
        domain = domain_of(node.domain)
        if (foreign := declared(domain, node.op_type)) is not None:
            return function_of(site, foreign)
        opset = self.scope.opsets.get(domain)
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
            if wanted and wanted in site.used and scope.find(name) not in self.types:
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

    def known(self, site: Site, value: str, what: str) -> Array:
        """Return what the host decides by: a constant, or what it was for the samples.

        Raises NotConstant for an input, and DataDependent for another value, without samples.
        """
        constant = self.constants.get(value, self.decided.get(value))
        if constant is not None:
            return constant.load()
        error = NotConstant(site.where, what, value)
        if self.occurred is None:
            raise error if value in self.inputs else DataDependent(f"{error}; only values say it")
        found = self.occurred.value(value)
        self.write(site, DECIDE, (value,), {"was": numbers_of(found), "occurred": 1})
        self.decided[value] = inline(found)
        return found

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
        site = replace(
            site, id=self._fresh(f"{site.id}#{output}"), inputs=(value,), outputs=(output,)
        )
        type = self.types[value]
        computed = type.dtype in COMPUTED and type.elements
        call = Call("Identity", (value,), {}, (output,))
        self._emit(site, call if computed else host_copy(site, type)[0], 0, 1)

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
            proto.domain or "ai.onnx",
        )

    def _opset(self, node: "onnx.NodeProto") -> int:
        """The version of a node's domain; that of ONNX itself where the model does not say."""
        opsets = self.scope.opsets
        return opsets.get(domain_of(node.domain), opsets[""])

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


def _trimmed(names: tuple[str, ...]) -> tuple[str, ...]:
    while names and not names[-1]:
        names = names[:-1]
    return names


def _named(outputs: tuple[str, ...], id: str) -> tuple[str, ...]:
    """Outputs that the model leaves out before others get a name that nothing reads."""
    return tuple(name or f"{id}#absent{i}" for i, name in enumerate(outputs))
