"""The fused and the kernel level: a private function per group, and a main that calls them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from emu.ir.graph import Graph
from emu.ir.group import Fused, Group
from emu.ir.schedule import Binding, Schedule
from emu.ir.text.graph import Spelling, constants, module_attrs, node_function
from emu.ir.text.syntax import Function, module, operation, quoted, ssa_names, symbol


def print_fused(fused: Fused) -> str:
    """Return a graph cut into groups, below a comment for every decision on a merge."""
    attrs = module_attrs(fused.graph) | {"emu.scope": quoted(fused.scope)}
    functions = _functions(fused.graph, fused.groups)
    return module(fused.graph.name, functions, attrs, map(str, fused.decisions))


def print_schedule(schedule: Schedule) -> str:
    """Return the groups with the kernel that claimed each, its coverage, and why it did."""
    graph = schedule.graph
    facts = {binding.group.name: _facts(binding) for binding in schedule.bindings}
    groups = [binding.group for binding in schedule.bindings]
    functions = [
        replace(function, attrs=facts.get(function.name, {}))
        for function in _functions(graph, groups)
    ]
    return module(graph.name, functions, module_attrs(graph), map(str, schedule.decisions))


def _facts(binding: Binding) -> Mapping[str, str]:
    return {
        "emu.kernel": quoted(binding.kernel),
        "emu.coverage": quoted(binding.coverage),
        "emu.tilewise": "true" if binding.tilewise else "false",
        "emu.why": quoted(binding.why),
    }


def _functions(graph: Graph, groups: Sequence[Group]) -> list[Function]:
    return [*(_group(graph, group) for group in groups), _main(graph, groups)]


def _group(graph: Graph, group: Group) -> Function:
    nodes = [graph.by_id[node] for node in group.nodes]
    inputs = _computed(graph, group.inputs)
    return replace(node_function(graph, group.name, inputs, group.outputs, nodes), private=True)


def _computed(graph: Graph, values: Iterable[str]) -> tuple[str, ...]:
    # Constants are declared inside their groups: main then reads as the flow of activations.
    return tuple(v for v in values if v not in graph.constants)


def _main(graph: Graph, groups: Sequence[Group]) -> Function:
    flow = (v for group in groups for v in group.outputs)
    spelling = Spelling(graph, ssa_names((*graph.inputs, *flow, *graph.outputs)))
    return Function(
        name="main",
        args=spelling.values(graph.inputs),
        returned=spelling.values(graph.outputs),
        body=tuple(_calls(spelling, groups)),
        meant=graph.inputs,
    )


def _calls(spelling: Spelling, groups: Sequence[Group]) -> Iterator[str]:
    for group in groups:
        yield operation(
            "func.call",
            spelling.values(_computed(spelling.graph, group.inputs)),
            spelling.values(group.outputs),
            properties={"callee": symbol(group.name)},
        )
    yield from constants(spelling, spelling.graph.outputs, spelling.graph.inputs)
