"""Products of dequantised numbers become products of the eight-bit numbers themselves.

(qx - zx)*sx times (qw - zw)*sw, summed, is the sum of (qx - zx)*(qw - zw) times sx*sw, and the sum
is exact in i32; sums of f8 are kept in f32. A residual that is dequantised only to be added is
read as it is stored.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from emu.ir.graph import NO_ATTRS, Attrs, Constant, Graph, Node
from emu.ir.ops.attributes import integer, number
from emu.ir.passes.infer_types import infer_types
from emu.ir.passes.remove_dead import remove_dead
from emu.ir.passes.rewriting import derived_key, fresh, rebuilt
from emu.ir.types import Array, TensorType

EIGHT_BITS = ("i8", "ui8", "f8E4M3FN")
# Ops that only move or choose elements, so that they do the same before dequantisation.
KEEPS = ("MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Identity")


def integer_products(graph: Graph) -> Graph:
    """Return ``graph`` with integer products and residuals where their operands are dequantised.

    Nothing is loaded; scales multiply when they are. Graphs without quantised values stay.
    """
    if not any(node.op == "DequantizeLinear" for node in graph.nodes):
        return graph
    moved = _rewritten(graph, _kept)
    multiplied = _rewritten(moved, _multiplied)
    return remove_dead(_rewritten(multiplied, _added))


@dataclass(frozen=True)
class Stored:
    """A value that is dequantised: the node that does so, and its constant scale."""

    node: Node
    scale: Constant

    @property
    def value(self) -> str:
        """The quantised value."""
        return self.node.inputs[0]

    @property
    def zero_point(self) -> int:
        """What stands for 0."""
        return integer(self.node.attrs, "zero_point", 0)


Step = tuple[list[Node], Mapping[str, Constant]]
Rule = Callable[[Graph, Node], "Step | None"]


def _rewritten(graph: Graph, rule: Rule) -> Graph:
    """Replace every node that the rule has nodes for."""
    nodes: list[Node] = []
    constants: dict[str, Constant] = {}
    for node in graph.nodes:
        step = rule(graph, node)
        nodes += [node] if step is None else step[0]
        constants |= {} if step is None else step[1]
    return infer_types(rebuilt(graph, nodes, constants))


def stored(graph: Graph, value: str) -> Stored | None:
    """Return where a dequantised value comes from, None if it is none or its scale is computed."""
    node = graph.producer.get(value)
    if node is None or node.op != "DequantizeLinear":
        return None
    scale = graph.constants.get(node.inputs[1])
    return None if scale is None else Stored(node, scale)


def _eight_bits(graph: Graph, value: str) -> Stored | None:
    found = stored(graph, value)
    return found if found and graph.types[found.value].dtype in EIGHT_BITS else None


def _kept(graph: Graph, node: Node) -> Step | None:
    """dequantise, move, quantise with the same scale: move the integers themselves."""
    before = graph.producer.get(node.inputs[0]) if node.op == "QuantizeLinear" else None
    if before is None or before.op not in KEEPS or before.output in graph.outputs:
        return None
    if len(graph.readers[before.output]) > 1:
        return None
    source = stored(graph, before.inputs[0])
    if source is None or source.scale.type.shape or not _same_grid(graph, source, node):
        return None
    whole = replace(
        before,
        inputs=(source.value, *before.inputs[1:]),
        outputs=node.outputs,
        id=node.id,
        source=tuple(dict.fromkeys((*before.source, *node.source))),
    )
    return [whole], NO_CONSTANTS


NO_CONSTANTS: Mapping[str, Constant] = MappingProxyType({})


def _same_grid(graph: Graph, source: Stored, node: Node) -> bool:
    scale = graph.constants.get(node.inputs[1])
    same = integer(node.attrs, "zero_point", 0) == source.zero_point
    kinds = graph.types[node.output].dtype == graph.types[source.value].dtype
    return scale is not None and same and kinds and scale.key == source.scale.key


def _multiplied(graph: Graph, node: Node) -> Step | None:
    """Conv, MatMul or Gemm of dequantised operands: the product as stored, then one scale."""
    if node.op not in _FORMS:
        return None
    x, w = (_eight_bits(graph, v) for v in node.inputs[:2])
    form = None if x is None or w is None else _FORMS[node.op](graph, node, w)
    if x is None or w is None or form is None or x.scale.type.shape:
        return None
    sums, scale = (fresh(graph, f"{node.output}.{what}") for what in ("sums", "scale"))
    nodes = [_sums(graph, node, form, x, w, sums), *_scaled(graph, node, form, sums, scale)]
    return nodes, {scale: _times(x.scale, w.scale), **form.constants}


def _scaled(graph: Graph, node: Node, form: "_Form", sums: str, scale: str) -> Iterator[Node]:
    """The sums as real numbers, and the bias if there is one."""
    biased = len(node.inputs) > 2 and node.inputs[-1] != ""
    real = fresh(graph, f"{node.output}.real") if biased else node.output
    id = f"{node.id}.scaled" if biased else node.id
    attrs: Attrs = {"axis": form.axis, "to": graph.types[node.output].dtype}
    yield Node(id, "DequantizeLinear", (sums, scale), (real,), attrs, node.source)
    if biased:
        yield replace(node, op=form.add, inputs=(real, *node.inputs[2:]), attrs=form.biasing)


def _sums(graph: Graph, node: Node, form: "_Form", x: Stored, w: Stored, out: str) -> Node:
    """The product itself: of integers in i32, of f8 in f32."""
    ins, id = (x.value, form.weight), f"{node.id}.sums"
    if graph.types[x.value].dtype == "f8E4M3FN":
        attrs: Attrs = {**form.attrs, "out_dtype": "f32"}
        return Node(id, form.op.removesuffix("Integer"), ins, (out,), attrs, node.source)
    attrs = {**form.attrs, "x_zero_point": x.zero_point, "w_zero_point": w.zero_point}
    return Node(id, form.op, ins, (out,), attrs, node.source)


@dataclass(frozen=True)
class _Form:
    """The integer form of a product: its op, its weight and where the weight's scales lie."""

    op: str
    weight: str
    axis: int
    attrs: Attrs
    add: str = "Add"
    biasing: Attrs = field(default_factory=lambda: NO_ATTRS)
    constants: Mapping[str, Constant] = field(default_factory=lambda: NO_CONSTANTS)


def _conv(graph: Graph, node: Node, w: Stored) -> _Form | None:
    if w.scale.type.shape and integer(w.node.attrs, "axis", 1) != 0:
        return None
    return _Form("ConvInteger", w.value, 1, node.attrs, "BiasAdd", {"axis": 1})


def _matmul(graph: Graph, node: Node, w: Stored) -> _Form | None:
    rank, columns = len(graph.types[w.value].shape), len(graph.types[node.output].shape) - 1
    if rank < 2 or (w.scale.type.shape and integer(w.node.attrs, "axis", 1) % rank != rank - 1):
        return None
    return _Form("MatMulInteger", w.value, columns, {})


def _gemm(graph: Graph, node: Node, w: Stored) -> _Form | None:
    """A Gemm without factors; a constant weight is turned when it is loaded."""
    turned = integer(node.attrs, "transB", 0)
    factors = {number(node.attrs, name, 1.0) for name in ("alpha", "beta")}
    weight = graph.constants.get(w.value)
    if integer(node.attrs, "transA", 0) or factors != {1.0} or (turned and weight is None):
        return None
    if w.scale.type.shape and integer(w.node.attrs, "axis", 1) % 2 != (0 if turned else 1):
        return None
    if not turned or weight is None:
        return _Form("MatMulInteger", w.value, 1, {})
    name = fresh(graph, f"{w.value}.turned")
    return _Form("MatMulInteger", name, 1, {}, constants={name: _transposed(weight)})


_FORMS: Mapping[str, Callable[[Graph, Node, Stored], _Form | None]] = MappingProxyType(
    {"Conv": _conv, "MatMul": _matmul, "Gemm": _gemm}
)


def _transposed(weight: Constant) -> Constant:
    def load() -> Array:
        return weight.load().T

    inline = None if weight.inline is None else weight.inline.T
    type = TensorType(weight.type.dtype, weight.type.shape[::-1])
    return Constant(type, derived_key("transposed", (weight.key,)), load, inline)


def _times(a: Constant, b: Constant) -> Constant:
    """The product of two scales; the first is one number."""

    def load() -> Array:
        return a.load() * b.load()

    inline = None if a.inline is None or b.inline is None else a.inline * b.inline
    return Constant(b.type, derived_key("scale", (a.key, b.key)), load, inline)


def _added(graph: Graph, node: Node) -> Step | None:
    """A sum with a dequantised value of its own shape that was there earlier than the other."""
    found = list(_residuals(graph, node)) if node.op == "Add" else []
    if not found:
        return None
    at, source = min(found, key=lambda f: _made_at(graph, f[1].value))
    inputs = (node.inputs[1 - at], source.value, source.node.inputs[1])
    attrs = {k: v for k, v in source.node.attrs.items() if k != "to"}
    return [replace(node, op="DequantizeAdd", inputs=inputs, attrs=attrs)], NO_CONSTANTS


def _residuals(graph: Graph, node: Node) -> Iterator[tuple[int, Stored]]:
    """Where operands of the sum's own shape are dequantised from eight bits."""
    for at, value in enumerate(node.inputs):
        found = stored(graph, value)
        other = node.inputs[1 - at]
        if found is None or graph.types[found.value].itemsize > 1 or other == value:
            continue
        if graph.types[other] == graph.types[node.output] == graph.types[value]:
            yield at, found


def _made_at(graph: Graph, value: str) -> int:
    made = graph.producer.get(value)
    return -1 if made is None else graph.position[made.id]
