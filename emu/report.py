"""The report of a run: plain text of at most 80 columns whose tables are Markdown."""

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap

from emu.account import Account, GroupAccount
from emu.ir.trace import MEANING
from emu.run import Run

COLUMNS = 80
LABEL = 18  # columns of a name in the summary
BARS = range(4, 17)  # how long the longest bar may be, as room is left
COSTLIEST = 10
REFUSALS = 5

Rows = Sequence[Sequence[str]]


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
    yield (
        f"{plain(compiled.model.name)} on {stack.device.name}, fusion {stack.compiler.scope}, "
        f"kernels {stack.kernels}"
    )
    yield ""
    for name, text in (*_time(account), *_memory(account), ("values", _values(run))):
        indent = " " * LABEL
        yield from wrap(f"{name:<{LABEL}}{text}", COLUMNS, subsequent_indent=indent)


def _time(account: Account) -> Iterator[tuple[str, str]]:
    energy, nodes = account.energy, len(account.compiled.lowered.nodes)
    yield "latency", f"{account.compiled.trace.total_ps / 1e6:,.3f} us"
    yield "groups", f"{len(account.groups)} of {nodes} nodes"
    yield "coverage", ", ".join(f"{n} {kind}" for kind, n in account.coverage.items() if n)
    yield "utilisation", f"{account.utilisation:.1%} of the chip's peak"
    yield "energy", f"{_joules(energy.dynamic)} dynamic, {_joules(energy.static)} static"


def _memory(account: Account) -> Iterator[tuple[str, str]]:
    trace, boundary, moved = account.compiled.trace, account.boundary, account.traffic
    yield (
        "group boundaries",
        f"weights {_bytes(boundary.weights)}, activations read "
        f"{_bytes(boundary.activations_read)}, written {_bytes(boundary.activations_written)}",
    )
    layout = f", layout {_bytes(moved.layout)}" if moved.layout else ""
    yield (
        "device memory",
        f"compulsory {_bytes(moved.compulsory)}, intermediate {_bytes(moved.intermediate)}, "
        f"reload {_bytes(moved.reload)}{layout}",
    )
    yield (
        "peak memory",
        f"{_bytes(trace.did.peak_onchip_bytes)} on chip, "
        f"{_bytes(trace.peak_device_bytes)} on the device",
    )


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
    rows = [(c, _us(ps), _percent(ps, total), MEANING[c]) for c, ps in charged.items()]
    rows.append(("sum", _us(sum(charged.values())), "100.0%", ""))
    head = ("cause", "us", "share", "what")
    longest = min(max(_room(head, rows), BARS[0]), BARS[-1])
    most = max(charged.values(), default=1)
    bars = [*("#" * max(1, round(longest * ps / most)) for ps in charged.values()), ""]
    barred = [(*row[:3], bar, row[3]) for row, bar in zip(rows, bars, strict=True)]
    yield from _table((*head[:3], "", head[3]), barred)


def _costliest(account: Account) -> Iterator[str]:
    head = ("n", "kernel", "us", "share", "bound")
    groups = list(account.costliest(COSTLIEST))
    if not groups:
        return
    rows = [_group(account, group) for group in groups]
    room = max(_room(head, rows), 12)
    named = [
        (_short(group.binding.group.name, room), *row)
        for group, row in zip(groups, rows, strict=True)
    ]
    yield from _table(("group", *head), named)


def _group(account: Account, group: GroupAccount) -> tuple[str, ...]:
    """The cells of a group but its name; the library in use goes without saying."""
    kernel = group.binding.kernel.removeprefix(f"{account.compiled.stack.kernels}.")
    nodes, total = len(group.binding.inside.nodes), account.compiled.trace.total_ps
    return str(nodes), _short(kernel, 18), _us(group.ps), _percent(group.ps, total), group.bound


def _fusion(account: Account) -> Iterator[str]:
    """What global fusion accepted and refused, the largest refusals first."""
    decisions = [d for d in account.compiled.schedule.decisions if d.code.startswith("global:")]
    if not decisions:
        return
    accepted = sum(d.ok and d.code == "global:cost" for d in decisions)
    refused = sorted((d for d in decisions if not d.ok), key=lambda d: -len(d.nodes))
    yield f"global fusion: {accepted} regions accepted, {len(refused)} candidates refused"
    for decision in [d for d in refused if d.numbers][:REFUSALS]:
        numbers = ", ".join(f"{k} {v:,}" for k, v in decision.numbers.items())
        yield f"- {_short(f'{decision.nodes[0]} .. {decision.nodes[-1]}', COLUMNS - 2)}"
        yield from _indented(f"{decision.why} ({numbers})")
    if refused:
        counts = Counter(d.code for d in refused).items()
        yield f"by reason: {', '.join(f'{n} {code}' for code, n in counts)}"
        yield "each of them: emu show MODEL --level fused --fusion global"


def _indented(text: str) -> list[str]:
    return wrap(text, COLUMNS, initial_indent="  ", subsequent_indent="  ")


def _table(head: Sequence[str], rows: Rows) -> Iterator[str]:
    """A Markdown table; columns whose cells are all numbers are aligned to the right."""
    widths = _widths(head, rows)
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(w) if right else cell.ljust(w)
            for cell, w, right in zip(cells, widths, numeric, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = (
        "-" * (w + 1) + ":" if right else "-" * (w + 2)
        for w, right in zip(widths, numeric, strict=True)
    )
    yield f"|{'|'.join(rules)}|"
    yield from map(line, rows)


def _widths(head: Sequence[str], rows: Rows) -> list[int]:
    return [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]


def _room(head: Sequence[str], rows: Rows) -> int:
    """Columns that are left for the cells of one more column."""
    widths = _widths(head, rows)
    return COLUMNS - sum(widths) - len("| ") - 3 * len(widths) - len(" |")


def _is_number(cell: str) -> bool:
    return cell.rstrip("%").replace(",", "").replace(".", "").isdigit()


def _short(text: str, width: int) -> str:
    """Text in one line of at most ``width``; both of its ends tell, so the middle goes."""
    text = plain(text)
    if len(text) <= width:
        return text
    tail = (width - 2) // 2
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"


def plain(text: str) -> str:
    """Text from a model file, without what would break a line, a table or a terminal."""
    return "".join(c if c.isprintable() and c != "|" else "?" for c in text)


def _us(ps: int) -> str:
    return f"{ps / 1e6:,.3f}"


def _percent(ps: int, total: int) -> str:
    return f"{ps / total if total else 0.0:.1%}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _joules(pj: int) -> str:
    return f"{pj / 1e9:,.2f} mJ" if pj >= 1e8 else f"{pj / 1e6:.2f} uJ"
