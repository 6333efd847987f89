"""How far a stack is, in three stages: what it takes in, how fast it is, how it can be operated.

Each stage is executed: programs are captured, lowered, linked and loaded; the model is timed
against an incumbent stack on the same peaks; policies are asked of the stack's own management.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from emu.ir.errors import ContractError
from emu.ir.graph import Graph
from emu.lockin import corpus
from emu.lockin.contracts import CONTRACTS
from emu.lockin.contracts.binding import FIGURE, PARTITION
from emu.lockin.outcome import Bench
from emu.lockin.parts import Catalogue, Choice, Fact, Offer, Part
from emu.lockin.source import Source
from emu.lockin.trial import Failure, Laboratory
from emu.table import us

ADMIT = next(contract for contract in CONTRACTS if contract.name == "K8")
KINDS = ("partition", "telemetry", "health", "versions")


@dataclass(frozen=True)
class Stage:
    """One stage: a score from 0 to 1, what was seen, and which contracts failed on what."""

    name: str
    score: float
    evidence: tuple[str, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entered:
    """Which programs of a corpus a stack takes in and runs, and how the others fail."""

    of: int
    failures: Mapping[str, Failure] = field(default_factory=dict[str, Failure])

    @property
    def taken(self) -> int:
        """How many run."""
        return self.of - len(self.failures)

    @property
    def missing(self) -> tuple[str, ...]:
        """Each contract and error, with the programs that it stops."""
        stopped: dict[str, list[str]] = {}
        for name, failure in self.failures.items():
            said = f"{failure.contract or 'no contract'} {failure.name} at {failure.stage}"
            stopped.setdefault(said, []).append(name)
        return tuple(f"{said}: {', '.join(names)}" for said, names in stopped.items())


def stages(bench: Bench, incumbent: Bench) -> tuple[Stage, ...]:
    """All three stages of the stack of a bench, measured against an incumbent's."""
    return entry(bench), performance(bench, incumbent), operations(bench.laboratory, bench.base)


def entry(bench: Bench) -> Stage:
    """Framework entry: the smaller of the shares of the ops and of the zoo that run."""
    catalogue = bench.laboratory.catalogue
    ops = entered(catalogue, bench.base, corpus.ops(), run=False)
    models = entered(catalogue, bench.base, corpus.zoo(), run=True)
    score = min(ops.taken / ops.of, models.taken / models.of)
    evidence = (
        f"{ops.taken} of {ops.of} ops are captured, lowered, linked and loaded",
        f"{models.taken} of {models.of} models of the zoo run, small",
    )
    return Stage("framework entry", score, evidence, (*ops.missing, *models.missing))


def entered(
    catalogue: Catalogue, choice: Choice, programs: Mapping[str, Graph], run: bool
) -> Entered:
    """Try each program by all contracts, and with ``run`` compile and time it too."""
    failures: dict[str, Failure] = {}
    for name, graph in programs.items():
        laboratory = Laboratory(catalogue, Source(graph))
        failure = laboratory.try_(choice).failure if run else laboratory.refusal(choice)
        if failure is not None:
            failures[name] = failure
    return Entered(len(programs), failures)


def performance(bench: Bench, incumbent: Bench) -> Stage:
    """Performance: the incumbent's time on the same peaks over the stack's own, at most 1."""
    if (failure := bench.native.failure) is not None:
        return Stage("performance", 0.0, ("the stack does not run",), (_said(failure),))
    if (failure := incumbent.native.failure) is not None:
        return Stage("performance", 0.0, ("the incumbent does not run",), (_said(failure),))
    before, after = incumbent.reference(bench.base), bench.native.timed
    unscaled = after.ps / incumbent.native.ps
    causes = {c: after.by_cause[c] - before.by_cause[c] for c in after.by_cause}
    evidence = (
        f"{us(after.ps)} us, the incumbent {us(before.ps)} us at equal peaks: "
        f"{after.ps / before.ps:.2f} times",
        f"{unscaled:.2f} times the incumbent on its own chip",
        *(f"{cause} {ps / 1e6:+,.3f} us" for cause, ps in causes.items() if ps),
    )
    return Stage("performance", min(1.0, before.ps / after.ps), evidence)


def _said(failure: Failure) -> str:
    return f"{failure.contract or 'no contract'} {failure.name}: {failure.error}"


def operations(laboratory: Laboratory, choice: Choice) -> Stage:
    """Operations: of partition, telemetry, health and versions the share that is admitted.

    Each policy of the catalogue is asked of the stack's own management functions, so that only
    what the chip and its driver can do counts. How many policies are admitted by the functions
    that they were written for is said beside it.
    """
    catalogue = laboratory.catalogue
    policies = [p for p in catalogue.parts["orchestrator"].values() if p.fact("intents")]
    asked = {kind: list(_asked(kind, policies)) for kind in KINDS}
    refused = {
        kind: [_refusal(laboratory, choice, _bound(choice, catalogue, i)) for i in intents]
        for kind, intents in asked.items()
    }
    demanded = [kind for kind in KINDS if asked[kind]]
    admitted = [kind for kind in demanded if None in refused[kind]]
    evidence = [
        f"{kind}: {refused[kind].count(None)} of {len(asked[kind])} demands" for kind in demanded
    ]
    as_written = [_refusal(laboratory, choice, policy) for policy in policies]
    evidence.append(f"{as_written.count(None)} of {len(policies)} policies as they are written")
    missing = [*_unmet(refused, admitted), *_grouped(policies, as_written)]
    return Stage("operations", len(admitted) / len(demanded), tuple(evidence), tuple(missing))


def _unmet(refused: Mapping[str, list[ContractError | None]], admitted: list[str]) -> Iterator[str]:
    """For each kind of which no demand is admitted, the first refusal."""
    for kind, errors in refused.items():
        if errors and kind not in admitted and errors[0] is not None:
            yield f"{kind}: {_named(errors[0])}: have {errors[0].have}, need {errors[0].need}"


def _grouped(policies: list[Part], errors: list[ContractError | None]) -> Iterator[str]:
    """Each error with the policies that end with it as they are written."""
    stopped: dict[str, list[str]] = {}
    for policy, error in zip(policies, errors, strict=True):
        if error is not None:
            stopped.setdefault(_named(error), []).append(policy.name)
    return (f"{said}, as written: {', '.join(names)}" for said, names in stopped.items())


def _named(error: ContractError) -> str:
    return f"{error.contract} {type(error).__name__} at {error.stage}"


def _asked(kind: str, policies: list[Part]) -> Iterator[tuple[str, ...]]:
    """Every different demand of one kind; the partitions of a policy are asked for together."""
    starts = {"partition": PARTITION, "telemetry": FIGURE}.get(kind, kind)
    found = [[i for i in policy.fact("intents") if i.startswith(starts)] for policy in policies]
    yield from dict.fromkeys(tuple(intents) for intents in found if intents)


def _bound(choice: Choice, catalogue: Catalogue, intents: tuple[str, ...]) -> Part:
    """A policy with some demands, written to the management functions of the stack's drivers."""
    kinds = catalogue.of_kind("management")
    functions = [o for driver in choice["driver"] for o in driver.exports if o.interface in kinds]
    wanted = tuple(Offer(o.interface, o.least, o.most) for o in functions)
    policy = choice["orchestrator"][0]
    facts = {**policy.facts, "intents": Fact(list(intents), "asked for")}
    return replace(policy, imports=wanted, facts=facts)


def _refusal(laboratory: Laboratory, choice: Choice, policy: Part) -> ContractError | None:
    """The error that a policy ends with on the drivers and the chip of a stack."""
    asked = {**choice, "orchestrator": (policy,)}
    try:
        ADMIT.check(asked, laboratory.source, laboratory.catalogue)
    except ContractError as error:
        return error
    return None
