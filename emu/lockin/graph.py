"""The explanation graph of a matrix: what is put in, the contract that it meets, what must follow.

An arrow runs from a stack to each part that was put into it, from there to the contract that
failed (at its stage), and from there to each part that must be changed with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from emu.lockin.outcome import Outcome
from emu.lockin.parts import Bundle, title

Cells = Sequence[tuple[Outcome, tuple[str, ...]]]
SHAPES = {"stack": "doubleoctagon", "part": "box", "contract": "diamond"}


def explanation(drawn: Mapping[str, Cells]) -> Any:
    """The graph, a networkx DiGraph; ``kind`` of a node is stack, part or contract."""
    import networkx  # only what draws needs it

    untyped: Any = networkx
    graph = untyped.DiGraph()
    for stack, cells in drawn.items():
        graph.add_node(stack, kind="stack")
        for outcome, _ in cells:
            _add(graph, stack, outcome)
    return graph


def _add(graph: Any, stack: str, outcome: Outcome) -> None:
    """One substitution: its part, and the way from there."""
    names = [_part(graph, slot, bundle) for slot, bundle in outcome.replaced.items()]
    for name in names:
        graph.add_edge(stack, name, label=outcome.label)
    if outcome.failure is None:
        return
    failure = outcome.failure
    contract = f"{failure.contract} {failure.name}".strip()
    graph.add_node(contract, kind="contract")
    for name in names:
        graph.add_edge(name, contract, label=failure.stage)
    for slot, bundle in outcome.cofactors:
        graph.add_edge(contract, _part(graph, slot, bundle), label="changed too")


def _part(graph: Any, slot: str, bundle: Bundle) -> str:
    name = f"{slot} = {title(bundle)}"
    graph.add_node(name, kind="part")
    return name


def dot_text(drawn: Mapping[str, Cells]) -> str:
    """The explanation graph in Graphviz's language, the same text for the same matrix."""
    graph = explanation(drawn)
    nodes = [f'  "{name}" [shape={SHAPES[kind]}];' for name, kind in graph.nodes(data="kind")]
    edges = [f'  "{a}" -> "{b}" [label="{said}"];' for a, b, said in graph.edges(data="label")]
    return "\n".join(("digraph lockin {", "  rankdir=LR;", *nodes, *edges, "}", ""))
