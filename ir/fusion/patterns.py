"""Pattern fusion: exact subgraphs of a rule table, as the pattern tables of vendors have them.

Order of operands, order of nodes and constants are all part of a rule. Another spelling of the
same mathematics does not match, and that is the lesson of this scope.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import pi, sqrt

from emu.ir.fusion.cut import saved_bytes
from emu.ir.graph import Constant, Graph, Node
from emu.ir.group import Decision
from emu.ir.pattern import Known, Match, Pattern, any_scalar, match, node, scalar

EPSILON_BELOW = 1e-2  # what guards a square root is small; anything else is no epsilon

NEAR_DEPTH = 3  # a node is a near miss of a rule if that many ops above it are the rule's


def _is_epsilon(constant: Constant) -> bool:
    return constant.scalar is not None and 0 < constant.scalar < EPSILON_BELOW


_CONV = node("Conv")
_CONV_NORM = node("BatchNormalization", _CONV, "scale", "bias", "mean", "variance")

# x is normalised over its last dimension: (x - mean) / sqrt(mean((x - mean)^2) + eps) * w + b
_CENTRED = node("Sub", "x", node("ReduceMean", "x"))
_VARIANCE = node("ReduceMean", node("Pow", _CENTRED, scalar(2.0)))
_DEVIATION = node("Sqrt", node("Add", _VARIANCE, Known(_is_epsilon)))
_LAYER_NORM = node("Add", node("Mul", node("Div", _CENTRED, _DEVIATION), "w"), "b")

# x * (1 + erf(x / sqrt 2)) * 0.5
_ERF = node("Erf", node("Div", "x", scalar(sqrt(2))))
_ERF_GELU = node("Mul", node("Mul", "x", node("Add", _ERF, scalar(1.0))), scalar(0.5))

# x * 0.5 * (1 + tanh((x + x^3 * 0.044715) * sqrt(2 / pi)))
_CUBIC = node("Add", "x", node("Mul", node("Pow", "x", scalar(3.0)), scalar(0.044715)))
_TANH = node("Tanh", node("Mul", _CUBIC, scalar(sqrt(2 / pi))))
_HALF = node("Mul", "x", scalar(0.5))
_TANH_GELU = node("Mul", _HALF, node("Add", _TANH, scalar(1.0)))


def _always(_graph: Graph, _found: Match) -> bool:
    return True


def _over_last_dimension(graph: Graph, found: Match) -> bool:
    last = (-1,), (len(graph.types[found.values["x"]].shape) - 1,)
    means = (n for n in map(graph.by_id.__getitem__, found.nodes) if n.op == "ReduceMean")
    return all(n.attrs.get("axes") in last and n.attrs.get("keepdims", 1) == 1 for n in means)


@dataclass(frozen=True, slots=True)
class Rule:
    """A named subgraph that becomes one group, if ``check`` agrees to the match."""

    name: str
    pattern: Pattern
    check: Callable[[Graph, Match], bool] = _always


# The first rule that matches wins, so longer subgraphs stand before what they begin with.
RULES = (
    Rule("conv-batchnorm-relu", node("Relu", _CONV_NORM)),
    Rule("conv-batchnorm-clip", node("Clip", _CONV_NORM, min=0.0, max=6.0)),
    Rule("conv-batchnorm", _CONV_NORM),
    Rule("conv-relu", node("Relu", _CONV)),
    Rule("conv-clip", node("Clip", _CONV, min=0.0, max=6.0)),
    Rule("gemm-relu", node("Relu", node("Gemm"))),
    Rule("layer-norm", _LAYER_NORM, _over_last_dimension),
    Rule("erf-gelu", _ERF_GELU),
    Rule("tanh-gelu", _TANH_GELU),
    Rule("matmul-scale", node("Div", node("MatMul"), any_scalar())),
    Rule("matmul-scale", node("Mul", node("MatMul"), any_scalar())),
)


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule matched: ascending positions of nodes, and the place of the rule in RULES."""

    nodes: tuple[int, ...]
    rank: int

    @property
    def name(self) -> str:
        """The name of the rule."""
        return RULES[self.rank].name


def pattern_hits(graph: Graph) -> tuple[Hit, ...]:
    """Every match of every rule, by first node and then by rule."""
    return tuple(sorted(_hits(graph), key=lambda h: (h.nodes[0], h.rank)))


def _hits(graph: Graph) -> Iterator[Hit]:
    position = graph.position
    for root in graph.nodes:
        for rank, found in _matches(root, graph):
            yield Hit(tuple(sorted(position[n] for n in found.nodes)), rank)


def _matches(root: Node, graph: Graph) -> Iterator[tuple[int, Match]]:
    for rank, rule in enumerate(RULES):
        found = match(rule.pattern, root, graph) if rule.pattern.op == root.op else None
        if found and rule.check(graph, found):
            yield rank, found


def near_misses(graph: Graph, alone: Iterable[Node]) -> Iterator[Decision]:
    """A refusal for each node left alone that ends like a rule, at most one a node."""
    for root in alone:
        near = next((rule for rule in RULES if _resembles(rule.pattern, root, graph)), None)
        if near:
            yield _refuse(graph, near, root)


def _resembles(pattern: Pattern, root: Node, graph: Graph, depth: int = NEAR_DEPTH) -> bool:
    """Say whether the last ops are those of ``pattern``, whatever their order and constants."""
    if root.op != pattern.op:
        return False
    inner = [arg for arg in pattern.args if isinstance(arg, Pattern)]
    makers = _makers(root, graph)
    return depth == 1 or all(
        any(_resembles(arg, maker, graph, depth - 1) for maker in makers) for arg in inner
    )


def _makers(node: Node, graph: Graph) -> list[Node]:
    return [graph.producer[value] for value in node.inputs if value in graph.producer]


def _refuse(graph: Graph, rule: Rule, root: Node) -> Decision:
    wanted = {arg.op for arg in rule.pattern.args if isinstance(arg, Pattern)}
    first = next(maker for maker in _makers(root, graph) if maker.op in wanted)
    numbers = saved_bytes(graph, (first.output,))
    nodes = (first.id, root.id)
    if len(graph.readers[first.output]) > 1:
        why = f"rule {rule.name} needs a {first.op} that only the {root.op} reads"
        return Decision(False, "two-readers", why, nodes, numbers)
    why = f"{first.op} then {root.op}, but not in the spelling of rule {rule.name}"
    return Decision(False, "other-spelling", why, nodes, numbers)
