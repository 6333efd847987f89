"""Why a node became what it did: every decision from the import to the kernel, in order."""

import json as json_text
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from textwrap import wrap
from typing import Any

from emu.account import Account
from emu.as_json import stack_json
from emu.commands import compile_asked
from emu.dump import Watch
from emu.flags import Request
from emu.ir.errors import BadOption, UnknownName
from emu.ir.graph import Graph, Node
from emu.ir.group import Decision
from emu.ir.regions import footprint_bytes
from emu.ir.schedule import Binding
from emu.ir.tile import TileProgram
from emu.kernels.libraries import GENERATOR, LIBRARIES
from emu.kernels.library import Library
from emu.pipeline import Executable
from emu.run import Compiled
from emu.table import COLUMNS, plain, us


@dataclass(frozen=True)
class Step:
    """One decision, the stage that took it (import, a pass, fusion, kernels), and who it is about.

    ``sources`` are the nodes of the model, as it was given, that the decision touched.
    """

    stage: str
    decision: Decision
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Recording(Watch):
    """A watch that keeps the graph after every pass, by the name of the pass."""

    graphs: list[tuple[str, Graph]] = field(default_factory=list[tuple[str, Graph]])

    def __call__(self, pass_name: str, graph: Graph, seconds: float) -> None:
        """Keep the graph, and report as every watch does."""
        super().__call__(pass_name, graph, seconds)
        self.graphs.append((pass_name, graph))


def explain(asked: Request, node: str | None, everything: bool, as_json: bool) -> None:
    """Print the decisions that touched ``node``, or all of them.

    Raises BadOption without a node unless ``everything`` is asked for, UnknownName for a node that
    the model does not have.
    """
    if everything and node is not None:  # KEY=N after --set stands where a node could stand
        more = [node, *(asked.shape.more or ())]
        asked, node = replace(asked, shape=replace(asked.shape, more=more)), None
    if node is None and not everything:
        raise BadOption("explain: name a node of the model, or say --explain-all")
    recording = Recording()
    executable = compile_asked(asked, recording)
    steps = tuple(history(executable, recording.graphs))
    if node is not None:
        check_node(executable.compiled.graph, node)
        steps = tuple(step for step in steps if node in step.sources)
    if as_json:
        print(json_text.dumps(explain_json(executable.compiled, node, steps), allow_nan=False))
    else:
        print("\n".join(_text(executable, node, steps)))


def check_node(graph: Graph, node: str) -> None:
    """Raise UnknownName unless the model, as it was given, has a node of this name."""
    known = [*graph.folded, *(s for n in graph.nodes for s in n.source)]
    if node not in known:
        raise UnknownName(f"node of {graph.name}", node, known)


def history(executable: Executable, passes: Sequence[tuple[str, Graph]]) -> Iterator[Step]:
    """Every decision in the order in which it was taken; ``passes`` are the graphs after each."""
    compiled = executable.compiled
    yield from _import_steps(compiled.graph)
    stages = [("import", compiled.graph), *passes]
    for (_, before), (name, after) in pairwise(stages):
        yield from _pass_steps(name, before, after)
    fused = len(compiled.fused.decisions)
    for i, decision in enumerate(compiled.schedule.decisions):
        yield _about("fusion" if i < fused else "kernels", decision, compiled.lowered)
    for binding in compiled.schedule.bindings:
        for decision in _kernel_decisions(executable, binding):
            yield _about("kernels", decision, compiled.lowered)


def _about(stage: str, decision: Decision, graph: Graph) -> Step:
    nodes = (graph.by_id[id] for id in decision.nodes if id in graph.by_id)
    return Step(stage, decision, tuple(dict.fromkeys(s for n in nodes for s in n.source)))


def _import_steps(graph: Graph) -> Iterator[Step]:
    why = "its result is known while the model is read"
    for source in graph.folded:
        yield Step("import", Decision(True, "import:folded", why, (source,)), (source,))
    parts: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for source in node.source:
            parts.setdefault(source, []).append(node)
    for source, nodes in parts.items():
        if len(nodes) > 1:
            why = f"becomes {', '.join(n.op for n in nodes)}"
            ids = tuple(n.id for n in nodes)
            yield Step("import", Decision(True, "import:decomposed", why, ids), (source,))


def _pass_steps(name: str, before: Graph, after: Graph) -> Iterator[Step]:
    """What a pass did, found by comparing the graphs around it."""
    stands = {source: node for node in after.nodes for source in node.source}
    for node in before.nodes:
        now = after.by_id.get(node.id)
        code, why = _gone(node, stands) if now is None else _changed(node, now, before, after)
        if code:
            sources = node.source if now is None else tuple(dict.fromkeys(node.source + now.source))
            yield Step(name, Decision(True, code, why, (node.id,)), sources)
    for node in after.nodes:
        if node.id not in before.by_id:
            yield Step(name, Decision(True, "pass:made", str(node), (node.id,)), node.source)


def _gone(node: Node, stands: Mapping[str, Node]) -> tuple[str, str]:
    heirs = {stands[s].id: stands[s] for s in node.source if s in stands}
    if not heirs:
        return "pass:folded", "no node stands for it any more: its result is known or not needed"
    names = ", ".join(f"{id} ({heir.op})" for id, heir in heirs.items())
    return "pass:merged", f"{names} stands for it now"


def _changed(node: Node, now: Node, before: Graph, after: Graph) -> tuple[str, str]:
    """A code and a reason, "" twice if nothing changed."""
    gained = [source for source in now.source if source not in node.source]
    also = f"; stands for {', '.join(gained)} too" if gained else ""
    if str(node) != str(now):
        return "pass:rewrote", f"{node} is now {now}{also}"
    old, new = before.types[node.output], after.types[now.output]
    if old != new:
        return "pass:retyped", f"%{now.output} is now {new} instead of {old}{also}"
    return ("pass:absorbed", f"stands for {', '.join(gained)} too") if gained else ("", "")


def _kernel_decisions(executable: Executable, binding: Binding) -> Iterator[Decision]:
    """Which kernels refused a group, in the order in which they were asked, and who computes it."""
    nodes, chip = binding.inside.nodes, executable.chip
    if why := chip.refusal(binding.body):
        yield Decision(False, "kernel:device", f"{chip.name} refuses it: {why}", nodes)
    else:
        own = LIBRARIES[executable.compiled.stack.kernels]
        yield from _refusals((own, GENERATOR), binding)
    if binding.program is None:
        why = "the host computes it, with copies over the link"
        yield Decision(True, "kernel:host", why, nodes)
        return
    numbers = {"onchip_bytes": footprint_bytes(binding.program)}
    why = f"{binding.coverage}, {_tiling(binding.program)}"
    yield Decision(True, f"kernel:{binding.kernel}", why, nodes, numbers)


def _refusals(libraries: Iterable[Library], binding: Binding) -> Iterator[Decision]:
    """One refusal for each kernel that was asked before the one that has the group."""
    for library in libraries:
        for kernel in library.kernels:
            name = f"{library.name}.{kernel.name}"
            if name == binding.kernel:
                return
            why = kernel.refusal(binding.body) or "claims it, but no tiling can be cut and fits"
            yield Decision(False, f"kernel:{name}", why, binding.inside.nodes)


def _tiling(program: TileProgram) -> str:
    """The loops of a program: the extent and the step of each."""
    spread = [f"{loop.extent}/{loop.step}" for loop in program.loops if loop.parallel]
    inner = [f"{loop.extent}/{loop.step}" for loop in program.loops if not loop.parallel]
    parts = [f"parallel {' x '.join(spread)}"] if spread else []
    parts += [f"in turn {' x '.join(inner)}"] if inner else []
    return f"loops {', '.join(parts)}" if parts else "one tile"


def explain_json(compiled: Compiled, node: str | None, steps: Iterable[Step]) -> dict[str, Any]:
    """Schema emu.explain/1: the decisions in order; ``node`` is null if they are those of all."""
    return {
        "schema": "emu.explain/1",
        "model": compiled.model.name,
        "stack": stack_json(compiled.stack),
        "node": node,
        "decisions": [_step_json(step) for step in steps],
    }


def _step_json(step: Step) -> dict[str, Any]:
    decision = step.decision
    return {
        "stage": step.stage,
        "ok": decision.ok,
        "code": decision.code,
        "why": decision.why,
        "nodes": list(decision.nodes),
        "sources": list(step.sources),
        "numbers": dict(decision.numbers),
    }


def _text(executable: Executable, node: str | None, steps: Sequence[Step]) -> Iterator[str]:
    compiled = executable.compiled
    chosen = compiled.stack.compiler
    if node is not None:
        took = Account(compiled).per_source.get(node, 0)
        yield f"{plain(node)} of {plain(compiled.model.name)}: {us(took)} us on the critical path"
    yield (
        f"on {executable.chip.name}, fusion {chosen.scope} by {chosen.decider}, "
        f"kernels {compiled.stack.kernels}"
    )
    if not steps:
        yield "no decision touched it"
    stage = ""
    for step in steps:
        if step.stage != stage:
            stage = step.stage
            yield f"\n{stage}"
        yield from _lines(step.decision)


def _lines(decision: Decision) -> list[str]:
    verdict = "+" if decision.ok else "-"
    numbers = ", ".join(f"{k} {v:,}" for k, v in decision.numbers.items())
    tail = f" ({numbers})" if numbers else ""
    said = f"{verdict} {decision.code}: {plain(decision.why)}{tail}"
    about = f"  {plain(' + '.join(decision.nodes))}"
    return [
        *wrap(said, COLUMNS, subsequent_indent="  "),
        *wrap(about, COLUMNS, initial_indent="  ", subsequent_indent="    "),
    ]
