"""Substitutions for people: one in full, a matrix of many, and a stack with its facts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from emu.lockin.outcome import Changes, Outcome
from emu.lockin.parts import SLOTS, Bundle, Choice, title
from emu.table import COLUMNS, short, table, us

Cell = tuple[Outcome, tuple[str, ...]]
LABEL = 14
LEGEND = (
    "layers: how many move together while the kept slots stay / if all may move, - where no stack "
    "has it. type of lock-in: P performance, D design, S structural, each found by disarming it."
)
MEANS = {
    "free": "it runs in as much time",
    "slower": "it runs, slower",
    "below-floor": "it runs, slower than the floor allows",
    "vacuous": "it runs, but not all that was put in is called",
    "co": "it runs if more is changed with it",
    "blocked": "nothing makes it run while the kept slots stay",
    "native-failure": "the stack fails as it is",
}


def outcome_text(
    named: str, outcome: Outcome, types: tuple[str, ...], anywhere: Changes, values: str
) -> Iterator[str]:
    """One substitution: the class, the contract that failed, and what would lift it.

    ``named`` says of which stack and model, ``anywhere`` what lifts it if the chip may change too.
    """
    swapped = ", ".join(f"{slot} = {title(bundle)}" for slot, bundle in outcome.replaced.items())
    yield from wrap(f"{named}, with {swapped}: {outcome.label}", COLUMNS)
    yield ""
    for name, text in (*_lines(outcome, types, anywhere), ("values", values)):
        yield from _wrapped(name, text)
    yield from _ledger(outcome)


def _ledger(outcome: Outcome) -> Iterator[str]:
    """What each cause takes longer; the rows sum to the difference of the two runs exactly."""
    if not outcome.gap:
        return
    before, after = outcome.before.by_cause, outcome.after.by_cause
    rows = [
        (cause, us(before.get(cause, 0)), us(after.get(cause, 0)), us(ps))
        for cause, ps in outcome.gap.items()
    ]
    total = outcome.after_ps - outcome.before_ps
    yield ""
    yield from table(
        ("cause", "before us", "after us", "gap us"),
        [*rows, ("all", us(outcome.before_ps), us(outcome.after_ps), us(total))],
    )


def _lines(
    outcome: Outcome, types: tuple[str, ...], anywhere: Changes
) -> Iterator[tuple[str, str]]:
    yield "outcome", f"{outcome.label}: {MEANS[outcome.kind]}"
    if outcome.ratio is not None:
        times = f"{us(outcome.before_ps)} us before, {us(outcome.after_ps)} us after"
        yield "time", f"{outcome.ratio:.2f} times ({times})"
        if "device" in outcome.replaced:
            yield "", f"at equal peaks; {outcome.unscaled:.2f} times its time on its own chip"
    if outcome.unused:
        yield "never called", title(outcome.unused)
    if outcome.failure is not None:
        yield "failed", f"{outcome.failure.name}: {outcome.failure.error}"
    if outcome.cofactors:
        yield "changed too", _parts(outcome.cofactors)
    if outcome.blocking:
        sets = "; ".join(" with ".join(contracts) for contracts in outcome.blocking)
        yield "blocked by", f"any of these sets of contracts: {sets}"
    if outcome.failure is not None and outcome.kind in ("co", "blocked"):
        said = f"co+{len(anywhere)}, with {_parts(anywhere)}" if anywhere else "no stack has it"
        yield "unrestricted", said
    yield "lock-in", ", ".join(types) or "none"


def _parts(changes: Sequence[tuple[str, Bundle]]) -> str:
    return ", ".join(f"{slot} = {title(bundle)}" for slot, bundle in changes)


def _wrapped(name: str, text: str) -> list[str]:
    # Names and paths stay whole, so that they can be copied.
    started, indent = f"{name:<{LABEL}}{text}", " " * LABEL
    return wrap(started, COLUMNS, subsequent_indent=indent, break_on_hyphens=False)


def cell_table(stack: str, model: str, cells: Sequence[Cell]) -> Iterator[str]:
    """The matrix of a stack: a table for each slot, with a row for each alternative."""
    yield f"{stack} on {model}"
    for slot in SLOTS:
        rows = [_row(o, slot, types) for o, types in cells if slot in o.replaced]
        yield ""
        yield from wrap(f"{slot}: {_counts(o for o, _ in cells if slot in o.replaced)}", COLUMNS)
        if rows:
            yield ""
            yield from table(("alternative", "outcome", "why", "layers", "type"), rows)
    yield ""
    yield from wrap(LEGEND, COLUMNS)


def _counts(outcomes: Iterable[Outcome]) -> str:
    counts = Counter(outcome.label for outcome in outcomes)
    return ", ".join(f"{n} {label}" for label, n in counts.most_common()) or "no alternative"


def _row(outcome: Outcome, slot: str, types: tuple[str, ...]) -> tuple[str, ...]:
    initials = "".join(name[0].upper() for name in types) or "-"
    name = short(title(outcome.replaced[slot]), 18)
    return name, _label(outcome), short(_why(outcome), 20), _layers(outcome), initials


def _layers(outcome: Outcome) -> str:
    """How many layers move together while the kept slots stay, and if everything may move."""
    some = len(outcome.replaced)
    if outcome.failure is None:
        return f"{some}/{some}"
    kept, free = len(outcome.cofactors), outcome.apart
    return f"{kept + some if kept else '-'}/{free + some if free else '-'}"


def _label(outcome: Outcome) -> str:
    return outcome.label if outcome.ratio is None else f"{outcome.label} {outcome.ratio:.2f}"


def _why(outcome: Outcome) -> str:
    failure = outcome.failure
    if failure is None:
        return "-"
    return f"{failure.contract} {failure.name}".strip()


def stack_text(name: str, about: str, choice: Choice) -> Iterator[str]:
    """The parts of a stack, their interfaces, and each fact with its source or as assumed."""
    yield f"{name}: {about}"
    for slot, bundle in choice.items():
        for part in bundle:
            yield ""
            kind = "open" if part.open else "closed"
            yield f"{slot}: {part.name} ({part.product} {part.version}, {kind})"
            for way, offers in (("imports", part.imports), ("exports", part.exports)):
                spans = [f"{o.interface} {o.least} to {o.most}" for o in offers]
                yield f"  {way:<20}{', '.join(spans) or '-'}"
            for key, fact in part.facts.items():
                said = "assumed" if fact.assumed else "sourced"
                yield f"  {key:<20}{short(str(fact.value), 40)} ({said})"
