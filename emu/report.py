"""The report of a run: plain text of at most 80 columns whose tables are Markdown."""

from collections import Counter
from collections.abc import Iterator, Mapping
from textwrap import wrap

from emu.account import Account, GroupAccount
from emu.capacity import excess_of
from emu.ir.trace import MEANING
from emu.run import Run
from emu.table import COLUMNS, percent, plain, room, short, size, table, us
from emu.telemetry import FIGURES, telemetry

LABEL = 18  # columns of a name in the summary
BARS = range(4, 17)  # how long the longest bar may be, as room is left
COSTLIEST = 10
REFUSALS = 5


def report(run: Run) -> str:
    """Everything that a run has to say, for people."""
    account = Account(run.compiled)
    sections = (
        _summary(account, run),
        _ledger(account),
        _costliest(account),
        _fusion(account),
    )
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section)))


def _summary(account: Account, run: Run) -> Iterator[str]:
    compiled = account.compiled
    stack = compiled.stack
    dtype = "" if stack.compiler.dtype == "fp32" else f", {stack.compiler.dtype}"
    yield (
        f"{plain(compiled.model.name)} on {stack.device.title}, fusion {stack.compiler.scope}, "
        f"kernels {stack.kernels}{dtype}"
    )
    yield ""
    parts = (*_time(account), *_memory(account), *_capacity(account), ("values", _values(run)))
    for name, text in parts:
        indent = " " * LABEL
        yield from wrap(f"{name:<{LABEL}}{text}", COLUMNS, subsequent_indent=indent)


def _time(account: Account) -> Iterator[tuple[str, str]]:
    energy, nodes = account.energy, len(account.compiled.lowered.nodes)
    yield "latency", f"{account.compiled.trace.total_ps / 1e6:,.3f} us"
    yield "groups", f"{len(account.groups)} of {nodes} nodes"
    yield "coverage", ", ".join(f"{n} {kind}" for kind, n in account.coverage.items() if n)
    yield "utilisation", f"{account.utilisation:.1%} of the chip's peak"
    yield "energy", f"{_joules(energy.dynamic)} dynamic, {_joules(energy.static)} static"
    yield "energy of ops", _parts(energy.operations)
    yield "energy of bytes", _parts(energy.levels)
    yield from _operations(account)
    if facts := account.compiled.stack.device.facts:
        yield "what if", ", ".join(facts)
    if assumed := account.chip.sheet.assumed:
        yield "assumed", ", ".join(assumed)


def _operations(account: Account) -> Iterator[tuple[str, str]]:
    """What the orchestrator made of the chip, and what it reads of the run."""
    stack = account.compiled.stack
    if (partition := stack.device.partition) is not None:
        facts = (fact.split("=") for fact in partition.facts)
        shown = (f"{key}={float(figure):.5g}" for key, figure in facts)
        yield "partition", f"{partition.name}: {', '.join(shown)}"
    if read := telemetry(account):
        yield "telemetry", ", ".join(f"{n} {FIGURES[n].text(v)}" for n, v in read.items())


def _parts(spent: Mapping[str, int]) -> str:
    """What parts of the energy took, without those that took none."""
    return ", ".join(f"{name} {_joules(pj)}" for name, pj in spent.items() if pj) or _joules(0)


def _memory(account: Account) -> Iterator[tuple[str, str]]:
    trace, boundary, moved = account.compiled.trace, account.boundary, account.traffic
    yield (
        "group boundaries",
        f"weights {size(boundary.weights)}, activations read "
        f"{size(boundary.activations_read)}, written {size(boundary.activations_written)}",
    )
    layout = f", layout {size(moved.layout)}" if moved.layout else ""
    yield (
        "device memory",
        f"compulsory {size(moved.compulsory)}, intermediate {size(moved.intermediate)}, "
        f"reload {size(moved.reload)}{layout}",
    )
    if trace.did.kept_bytes:
        yield "kept on chip", f"{size(trace.did.kept_bytes)} moved from and to values that stay"
    yield (
        "peak memory",
        f"{size(trace.did.peak_onchip_bytes)} on chip, "
        f"{size(trace.peak_device_bytes)} on the device",
    )


def _capacity(account: Account) -> Iterator[tuple[str, str]]:
    if excess := excess_of(account.compiled):
        yield "capacity", str(excess)


def _values(run: Run) -> str:
    if run.outputs is None:
        return "not computed"
    if run.check is None:
        return "computed, not checked"
    return f"{'as' if run.check.ok else 'NOT as'} {run.check}"


def _ledger(account: Account) -> Iterator[str]:
    """Every picosecond by cause; the causes sum to the latency."""
    ledger, total = account.compiled.trace.ledger, account.compiled.trace.total_ps
    charged = {cause: ps for cause, ps in ledger.items() if ps}
    rows = [(c, us(ps), percent(ps, total), MEANING[c]) for c, ps in charged.items()]
    rows.append(("sum", us(sum(charged.values())), "100.0%", ""))
    head = ("cause", "us", "share", "what")
    longest = min(max(room(head, rows), BARS[0]), BARS[-1])
    most = max(charged.values(), default=1)
    bars = [*("#" * max(1, round(longest * ps / most)) for ps in charged.values()), ""]
    barred = [(*row[:3], bar, row[3]) for row, bar in zip(rows, bars, strict=True)]
    yield from table((*head[:3], "", head[3]), barred)


def _costliest(account: Account) -> Iterator[str]:
    head = ("n", "kernel", "us", "share", "bound")
    groups = list(account.costliest(COSTLIEST))
    if not groups:
        return
    rows = [_group(account, group) for group in groups]
    width = max(room(head, rows), 12)
    named = [
        (short(group.binding.group.name, width), *row)
        for group, row in zip(groups, rows, strict=True)
    ]
    yield from table(("group", *head), named)


def _group(account: Account, group: GroupAccount) -> tuple[str, ...]:
    """The cells of a group but its name; the library in use goes without saying."""
    kernel = group.binding.kernel.removeprefix(f"{account.compiled.stack.kernels}.")
    nodes, total = len(group.binding.inside.nodes), account.compiled.trace.total_ps
    return str(nodes), short(kernel, 18), us(group.ps), percent(group.ps, total), group.bound


def _fusion(account: Account) -> Iterator[str]:
    """What global fusion accepted and refused, the largest refusals first."""
    decisions = [d for d in account.compiled.schedule.decisions if d.code.startswith("global:")]
    if not decisions:
        return
    accepted = sum(d.ok for d in decisions)
    refused = sorted((d for d in decisions if not d.ok), key=lambda d: -len(d.nodes))
    yield f"global fusion: {accepted} regions accepted, {len(refused)} candidates refused"
    for decision in [d for d in refused if d.numbers][:REFUSALS]:
        numbers = ", ".join(f"{k} {v:,}" for k, v in decision.numbers.items())
        yield f"- {short(f'{decision.nodes[0]} .. {decision.nodes[-1]}', COLUMNS - 2)}"
        yield from _indented(f"{decision.why} ({numbers})")
    if refused:
        counts = Counter(d.code for d in refused).items()
        yield f"by reason: {', '.join(f'{n} {code}' for code, n in counts)}"
        yield "each of them: emu show MODEL --level fused --fusion global"


def _indented(text: str) -> list[str]:
    return wrap(text, COLUMNS, initial_indent="  ", subsequent_indent="  ")


def _joules(pj: int) -> str:
    if pj >= 1e8:
        return f"{pj / 1e9:,.2f} mJ"
    return f"{pj / 1e6:.2f} uJ" if pj >= 1e5 else f"{pj / 1e3:.2f} nJ"
