"""The report of a run: plain text of at most 80 columns whose tables are Markdown."""

from collections.abc import Iterator, Sequence

from emu.account import Account
from emu.ir.trace import MEANING
from emu.run import Run

BAR = 16
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
    return "\n\n".join("\n".join(section) for section in map(list, sections) if section)


def _summary(account: Account, run: Run) -> Iterator[str]:
    compiled, trace = account.compiled, account.compiled.trace
    stack, boundary, traffic = compiled.stack, account.boundary, account.traffic
    energy = account.energy
    yield (
        f"{compiled.model.name} on {stack.device.name}, fusion {stack.compiler.scope}, "
        f"kernels {stack.kernels}"
    )
    yield ""
    covered = ", ".join(f"{n} {kind}" for kind, n in account.coverage.items() if n)
    yield from _pairs(
        (
            ("latency", f"{trace.total_ps / 1e6:,.3f} us"),
            ("groups", f"{len(account.groups)} of {len(compiled.lowered.nodes)} nodes"),
            ("utilisation", f"{account.utilisation:.1%} of the chip's peak"),
            (
                "group boundaries",
                f"weights {_mb(boundary.weights)}, activations read "
                f"{_mb(boundary.activations_read)}, written {_mb(boundary.activations_written)}",
            ),
            (
                "device memory",
                f"compulsory {_mb(traffic.compulsory)}, intermediate "
                f"{_mb(traffic.intermediate)}, reload {_mb(traffic.reload)}",
            ),
            (
                "peak memory",
                f"{_mb(trace.did.peak_onchip_bytes)} on chip, {_mb(trace.peak_device_bytes)} "
                "on the device",
            ),
            (
                "energy",
                f"{energy.dynamic / 1e9:,.2f} mJ dynamic, {energy.static / 1e9:,.2f} mJ static",
            ),
            ("coverage", covered),
            ("values", _values(run)),
        )
    )


def _values(run: Run) -> str:
    if run.outputs is None:
        return "not computed"
    if run.check is None:
        return "computed, not checked"
    verdict = "as" if run.check.ok else "NOT as"
    return (
        f"{verdict} {run.check.reference}: error {run.check.max_rel_error:.1e} of the largest "
        f"(limit {run.check.tolerance:.0e})"
    )


def _pairs(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield f"{name:<17} {text}"


def _ledger(account: Account) -> Iterator[str]:
    """Every picosecond by cause; the causes sum to the latency."""
    ledger, total = account.compiled.trace.ledger, account.compiled.trace.total_ps
    most = max(ledger.values(), default=0)
    rows = [
        (
            cause,
            f"{ps / 1e6:,.3f}",
            f"{_share(ps, total):.1%}",
            "#" * _bar(ps, most),
            MEANING[cause],
        )
        for cause, ps in ledger.items()
        if ps
    ]
    rows.append(("sum", f"{sum(ledger.values()) / 1e6:,.3f}", "100.0%", "", ""))
    yield from _table(("cause", "us", "share", "", "what"), rows)


def _bar(ps: int, most: int) -> int:
    return max(1, round(BAR * ps / most)) if most else 0


def _share(ps: int, total: int) -> float:
    return ps / total if total else 0.0


def _costliest(account: Account) -> Iterator[str]:
    total = account.compiled.trace.total_ps
    rows = [
        (
            _short(group.binding.group.name, 28),
            str(len(group.binding.inside.nodes)),
            _short(group.binding.kernel, 21),
            f"{group.ps / 1e6:,.3f}",
            f"{_share(group.ps, total):.1%}",
            group.bound,
        )
        for group in account.costliest(COSTLIEST)
    ]
    yield from _table(("group", "n", "kernel", "us", "share", "bound"), rows)


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
        ends = f"{decision.nodes[0]} .. {decision.nodes[-1]}"
        yield f"- {_short(ends, 74)}"
        yield f"  {decision.why} ({numbers})"
    if refused:
        yield "all of them: emu show MODEL --level fused"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; columns whose cells are all numbers are aligned to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
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


def _is_number(cell: str) -> bool:
    return cell.rstrip("%").replace(",", "").replace(".", "").isdigit()


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
