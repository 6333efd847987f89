"""Global fusion: which regions pay, by the device's own clock over whole runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from emu.ir.body import body_of
from emu.ir.fusion import Region, merge, regions
from emu.ir.graph import Graph
from emu.ir.group import Decision, Fused
from emu.select import Choice, Selector

Price = Callable[[Fused], int]  # picoseconds of a whole run


@dataclass(frozen=True)
class Candidate:
    """A region with the kernel that would compute it, and its price beside that of its groups."""

    region: Region
    nodes: tuple[str, ...]
    choice: Choice
    apart_ps: int

    @property
    def gain_ps(self) -> int:
        """What it saves when launches run alone."""
        return self.apart_ps - self.choice.ps


def fuse_globally(vertical: Fused, selector: Selector, price: Price) -> Fused:
    """Merge the regions of ``vertical`` that make a whole run faster, with a reason for each.

    A region that no kernel can hold on chip, or that is slower alone, is refused at once; the rest
    are tried in the whole run, the best first, and stay only if it becomes faster.
    """
    decisions: list[Decision] = []
    candidates: list[Candidate] = []
    alone = [_alone(vertical.graph, group.nodes, selector) for group in vertical.groups]
    for region in regions(vertical):
        apart_ps = sum(alone[g] for g in region.groups)
        candidate = _candidate(vertical, region, selector, apart_ps)
        refused = _refused(candidate)
        if refused is None:
            candidates.append(candidate)
        else:
            decisions.append(refused)
    chosen, tried = _try_all(vertical, candidates, price)
    merged = merge(vertical, [c.region for c in chosen])
    return replace(merged, decisions=(*merged.decisions, *decisions, *tried))


def _candidate(vertical: Fused, region: Region, selector: Selector, apart_ps: int) -> Candidate:
    graph = vertical.graph
    groups = [vertical.groups[g] for g in region.groups]
    inside = {n for group in groups for n in group.nodes}
    nodes = [node for node in graph.nodes if node.id in inside]
    choice = selector.choose(selector.library, body_of(graph, nodes).body, worth_ps=apart_ps)
    return Candidate(region, tuple(n.id for n in nodes), choice, apart_ps)


def _alone(graph: Graph, nodes: tuple[str, ...], selector: Selector) -> int:
    """Picoseconds of one group on an idle chip, 0 if no single kernel computes it."""
    body = body_of(graph, [graph.by_id[n] for n in nodes]).body
    prices = [c.ps for c in selector.choices(body) if c.program is not None]
    return prices[0] if prices else 0


def _refused(candidate: Candidate) -> Decision | None:
    """Why a candidate need not be tried in a whole run."""
    choice, nodes = candidate.choice, candidate.nodes
    if choice.program is None:
        return Decision(False, "global:no-kernel", choice.why, nodes)
    if candidate.gain_ps <= 0:
        why = "the groups are faster apart"
        fused = "fused_ps" if choice.timed else "fused_ps_at_least"
        numbers = {fused: choice.ps, "apart_ps": candidate.apart_ps}
        return Decision(False, "global:cost", why, nodes, numbers)
    return None


def _try_all(
    vertical: Fused, candidates: list[Candidate], price: Price
) -> tuple[list[Candidate], list[Decision]]:
    """Accept candidates, the largest gain first, while each makes the whole run faster."""
    chosen: list[Candidate] = []
    decisions: list[Decision] = []
    taken: set[int] = set()
    best = price(vertical)
    for candidate in sorted(candidates, key=lambda c: (-c.gain_ps, c.region.groups)):
        if taken & set(candidate.region.groups):
            why = "a better region has some of its groups"
            decisions.append(Decision(False, "global:overlap", why, candidate.nodes))
            continue
        whole = price(merge(vertical, [c.region for c in (*chosen, candidate)]))
        numbers = {"run_ps": whole, "without_ps": best}
        if whole < best:
            best = whole
            chosen.append(candidate)
            taken.update(candidate.region.groups)
            why = "the whole run is faster"
            decisions.append(Decision(True, "global:cost", why, candidate.nodes, numbers))
        else:
            why = "the whole run is not faster"
            decisions.append(Decision(False, "global:cost", why, candidate.nodes, numbers))
    return chosen, decisions
