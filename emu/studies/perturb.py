"""The same model in other spellings: what each scope makes of them, and why it made something else.

A spelling rewrites the imported graph and keeps every value; whatever moves in groups or in time is
therefore the compiler's doing, and the decisions that differ say which.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from emu.commands import calibration, choices, shape_of
from emu.dump import Watch
from emu.executing.values import EXECUTORS, check_threads, compare
from emu.flags import Request, limits_of
from emu.ir.fusion import SCOPES
from emu.ir.fusion.deciders import refusal
from emu.ir.graph import Graph
from emu.ir.group import Decision
from emu.ir.ops import OPS, Fusion
from emu.ir.precision import DTYPES
from emu.ir.spellings import SPELLINGS, respell
from emu.ir.types import Array
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.pipeline import Executable, bring_down, make_stack, open_model, tunings
from emu.stack import Stack
from emu.studies.explain import check_node
from emu.tuning.database import TuningDatabase

ORIGINAL = "original"
# An encoder layer of BERT has eight products; what has more is a whole model, in which the rounding
# of one layer is carried on by the next.
LAYER_PRODUCTS = 8
LAYER_TOLERANCE, MODEL_TOLERANCE = 1e-6, 1e-5  # of the largest output, f32

Kind = tuple[bool, str, str]  # of decisions: accepted or not, the code, the reason


@dataclass(frozen=True)
class Spelled:
    """One spelling of a model: at how many sites it differs, and what every scope made of it.

    ``max_rel_error`` is relative to the largest output, None if no values were computed;
    ``outputs`` are kept of the original only.
    """

    name: str
    sites: int
    scopes: Mapping[str, Executable]
    max_rel_error: float | None
    outputs: Mapping[str, Array] | None = None

    def groups(self, scope: str) -> int:
        """How many launches there are under a scope."""
        return len(self.scopes[scope].compiled.schedule.bindings)

    def latency_ps(self, scope: str) -> int:
        """The latency under a scope."""
        return self.scopes[scope].compiled.trace.total_ps


@dataclass(frozen=True)
class Deviation:
    """A scope that made something else of a spelling than of the original, and why.

    ``lost`` and ``gained`` count the decisions, by kind, that only one of both has; ``ledger_ps``
    are the causes that moved.
    """

    spelling: str
    scope: str
    groups: tuple[int, int]
    latency_ps: tuple[int, int]
    lost: Mapping[Kind, int]
    gained: Mapping[Kind, int]
    ledger_ps: Mapping[str, int]


@dataclass(frozen=True)
class Perturbed:
    """A model in its own spelling, the first one, and in all others that occur in it."""

    stack: Stack
    graph: Graph
    spellings: tuple[Spelled, ...]
    absent: tuple[str, ...]

    @property
    def tolerance(self) -> float:
        """How far values may be from those of the original, relative to the largest output."""
        dtype = self.stack.compiler.dtype
        if dtype != "fp32":
            return DTYPES[dtype].tolerance
        products = sum(OPS[node.op].fusion is Fusion.ANCHOR for node in self.graph.nodes)
        return LAYER_TOLERANCE if products <= LAYER_PRODUCTS else MODEL_TOLERANCE

    @property
    def wrong(self) -> tuple[Spelled, ...]:
        """The spellings whose values are not those of the original."""
        return tuple(
            s
            for s in self.spellings
            if s.max_rel_error is not None and not s.max_rel_error <= self.tolerance
        )

    @cached_property
    def deviations(self) -> tuple[Deviation, ...]:
        """Where groups or latency moved, in the order of spellings and scopes."""
        original = self.spellings[0]
        return tuple(d for s in self.spellings[1:] for d in _deviations(original, s))


def perturb(
    asked: Request, node: str | None = None, values: bool = True, threads: int = 1
) -> Perturbed:
    """Compile every spelling under every scope, and compare values under the scope asked for.

    With ``node``, a spelling is applied only where it touches this node of the model; raises
    UnknownName if there is none. Values are computed on so many ``threads``.
    """
    check_threads(threads, EXECUTORS[0])
    settings, dims = shape_of(asked)
    stack = make_stack(**choices(asked.stack))
    bench = _Bench(
        open_model(asked.model, settings, limits_of(asked.shape.limits, asked.shape.more)),
        stack,
        {scope: _stack(asked, scope) for scope in SCOPES},
        values,
        threads,
        tunings(stack.compiler, asked.stack.tuning_db),
        calibration(asked.stack),
    )
    graph = to_graph(bench.model, dims)
    if node is not None:
        check_node(graph, node)
    original = bench.spelled(ORIGINAL, 0, graph, None)
    respelled = {s.name: respell(graph, s, node or "") for s in SPELLINGS.values()}
    others = (
        bench.spelled(name, len(after.sites), after.graph, original)
        for name, after in respelled.items()
        if after.sites
    )
    absent = tuple(name for name, after in respelled.items() if not after.sites)
    return Perturbed(bench.stack, graph, (original, *others), absent)


def _stack(asked: Request, scope: str) -> Stack:
    """The stack of the flags under another scope; a decider that cannot serve it is its default."""
    wanted = choices(asked.stack)
    decider = asked.stack.decider
    if decider and refusal(scope, decider):
        decider = None
    return make_stack(**{**wanted, "fusion": scope, "decider": decider})


@dataclass(frozen=True)
class _Bench:
    """What all spellings of a model are compiled with."""

    model: Model
    stack: Stack
    stacks: Mapping[str, Stack]
    values: bool
    threads: int
    database: TuningDatabase | None
    calibration: Mapping[str, Array] | None

    def spelled(self, name: str, sites: int, graph: Graph, original: Spelled | None) -> Spelled:
        chip = self.stack.device.make()
        scopes = {
            scope: bring_down(
                self.model, graph, stack, chip, Watch(), self.calibration, self.database
            )
            for scope, stack in self.stacks.items()
        }
        outputs = self.outputs(scopes[self.stack.compiler.scope]) if self.values else None
        if outputs is None:
            return Spelled(name, sites, scopes, None, None)
        reference = outputs if original is None else original.outputs
        error = compare(outputs, reference or {}).max_rel_error
        # Only the values of the original are still needed.
        return Spelled(name, sites, scopes, error, outputs if original is None else None)

    def outputs(self, executable: Executable) -> Mapping[str, Array]:
        return executable.run(check=False, threads=self.threads).outputs or {}


def _deviations(original: Spelled, spelled: Spelled) -> Iterator[Deviation]:
    for scope in original.scopes:
        groups = original.groups(scope), spelled.groups(scope)
        times = original.latency_ps(scope), spelled.latency_ps(scope)
        if groups[0] == groups[1] and times[0] == times[1]:
            continue
        before, after = original.scopes[scope].compiled, spelled.scopes[scope].compiled
        had, has = _decisions(before.schedule.decisions), _decisions(after.schedule.decisions)
        moved = {c: after.trace.ledger[c] - ps for c, ps in before.trace.ledger.items()}
        ledger = {cause: ps for cause, ps in moved.items() if ps}
        lost, gained = _kinds(had - has), _kinds(has - had)
        yield Deviation(spelled.name, scope, groups, times, lost, gained, ledger)


def _decisions(decisions: tuple[Decision, ...]) -> Counter[tuple[Kind, tuple[str, ...]]]:
    return Counter(((d.ok, d.code, d.why), d.nodes) for d in decisions)


def _kinds(decisions: Counter[tuple[Kind, tuple[str, ...]]]) -> dict[Kind, int]:
    found: Counter[Kind] = Counter()
    for (kind, _), count in decisions.items():
        found[kind] += count
    return dict(found)
