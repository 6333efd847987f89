"""The gap between two runs as text of at most 80 columns whose tables are Markdown."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from emu.kept import KeptGroup, KeptRun
from emu.studies.gap import Gap, Match
from emu.studies.records import to_json
from emu.table import COLUMNS, percent, plain, room, short, size, table, us

MOST = 8  # matched groups, and nodes, that are listed
EXPLAINED = 4  # matched groups whose kernels are listed

Row = tuple[str, ...]


def report(gap: Gap) -> str:
    """Everything that there is to say of a gap, the largest parts first."""
    sections = (_runs(gap), _causes(gap), _groups(gap), _nodes(gap))
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section)))


def _runs(gap: Gap) -> Iterator[str]:
    for letter, run in (("A", gap.a), ("B", gap.b)):
        yield from _wrapped(f"{letter}: {run.title}", "   ")
        if run.over_capacity:
            yield from _wrapped(f"{letter}: {run.over_capacity}", "   ")
    changed = ", ".join(_changed(gap.a, gap.b))
    yield from _wrapped(f"changed: {changed or 'nothing'}", "         ")
    yield ""
    rows = [
        (name, *(f"{count:,}" for count in (a, b)), f"{b - a:+,}")
        for name, a, b in (
            ("latency, ps", gap.a.latency_ps, gap.b.latency_ps),
            ("groups", len(gap.a.groups), len(gap.b.groups)),
            ("device memory, bytes", gap.a.dram_bytes, gap.b.dram_bytes),
        )
    ]
    yield from table(("", "A", "B", "gap"), rows)


def _changed(a: KeptRun, b: KeptRun) -> Iterator[str]:
    """Each choice that differs, as ``slot: old -> new``."""
    ours, theirs = (dict(_leaves(to_json(run))) for run in (a, b))
    for name in {**ours, **theirs}:
        old, new = ours.get(name, "none"), theirs.get(name, "none")
        if old != new:
            yield f"{name} {plain(old)} -> {plain(new)}"


def _leaves(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The choices of a kept run by name: those of its stack, and what shaped its model."""
    model, stack = run["model"], run["stack"]
    shape = {"model": model["asked"], **model["settings"], **model["dims"]}
    compiler = {**stack["compiler"], "passes": ", ".join(stack["compiler"]["passes"]) or "none"}
    slots = {name: choice for name, choice in stack.items() if isinstance(choice, str)}
    chip, part = stack["device"], stack["device"].get("partition")
    device = {
        "device": chip["name"],
        "array model": chip["array_model"],
        "facts": ", ".join(chip["facts"]) or "none",
        "partition": part["name"] if part else "none",
    }
    for name, choice in {**shape, **compiler, **slots, **device}.items():
        yield name.replace("_", " "), str(choice)


def _causes(gap: Gap) -> Iterator[str]:
    a, b = gap.a.ledger, gap.b.ledger
    rows = [
        (cause, us(a[cause]), us(b[cause]), _signed(ps), percent(ps, gap.ps))
        for cause, ps in sorted(gap.by_cause.items(), key=lambda pair: -abs(pair[1]))
        if a[cause] or b[cause]
    ]
    total = us(gap.a.latency_ps), us(gap.b.latency_ps), _signed(gap.ps), percent(gap.ps, gap.ps)
    yield from table(("cause", "A us", "B us", "gap us", "share"), [*rows, ("sum", *total)])


def _groups(gap: Gap) -> Iterator[str]:
    """The matched groups with the largest gaps, then what became of the first of them."""
    ranked = sorted(gap.matches, key=lambda match: -abs(match.ps))
    shown = [match for match in ranked[:MOST] if match.ps]
    rest = [match for match in ranked if match not in shown]
    rows = [(_name(match.sources), *_match(match)) for match in shown]
    if rest:
        sums = [sum(m.a_ps for m in rest), sum(m.b_ps for m in rest), sum(m.ps for m in rest)]
        counts = f"{sum(len(m.a) for m in rest)} -> {sum(len(m.b) for m in rest)}"
        rows.append((f"{len(rest)} others", counts, *map(us, sums[:2]), _signed(sums[2]), ""))
    yield from _fitted(("nodes", "groups", "A us", "B us", "gap us", "mostly"), rows)
    for match in shown[:EXPLAINED]:
        yield ""
        yield short(f"- {_name(match.sources)}", COLUMNS)
        for letter, groups in (("A", match.a), ("B", match.b)):
            yield from _wrapped(f"  {letter}: {_kernels(groups)}", "     ")


def _match(match: Match) -> Row:
    counts = f"{len(match.a)} -> {len(match.b)}"
    return counts, us(match.a_ps), us(match.b_ps), _signed(match.ps), _mostly(match.by_cause)


def _kernels(groups: Sequence[KeptGroup]) -> str:
    """How often each kernel is launched, and the bytes that all of them move."""
    counts = Counter(group.kernel for group in groups)
    named = ", ".join(f"{times} x {kernel}" for kernel, times in counts.items()) or "nothing"
    return f"{named}; {size(sum(group.dram_bytes.total for group in groups))}"


def _nodes(gap: Gap) -> Iterator[str]:
    """The nodes of the model with the largest gaps, and all others in one line."""
    gaps = gap.by_source
    ranked = sorted(gaps, key=lambda source: -abs(gaps[source]))
    shown = [source for source in ranked[:MOST] if gaps[source]]
    causes = gap.by_source_and_cause
    rows = [(source, _signed(gaps[source]), _mostly(causes[source])) for source in shown]
    rest = gap.ps - sum(gaps[source] for source in shown)
    if others := len(gaps) - len(shown):
        rows.append((f"{others} others", _signed(rest), ""))
    yield from _fitted(("node", "gap us", "mostly"), rows)


def _fitted(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table whose first column takes the room that the others leave."""
    width = max(room(head[1:], [row[1:] for row in rows]) - 3, 12)
    yield from table(head, [(short(row[0], width), *row[1:]) for row in rows])


def _mostly(causes: Mapping[str, int]) -> str:
    """The cause that makes most of a gap, in the direction of the gap, and its part."""
    if not any(causes.values()):
        return ""
    sign = -1 if sum(causes.values()) < 0 else 1
    cause = max(causes, key=lambda name: sign * causes[name])
    return f"{cause} {_signed(causes[cause])}"


def _name(sources: Sequence[str]) -> str:
    return sources[0] if len(sources) == 1 else f"{sources[0]} .. {sources[-1]}"


def _signed(ps: int) -> str:
    return f"{ps / 1e6:+,.3f}"


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(plain(text), COLUMNS, subsequent_indent=indent)
