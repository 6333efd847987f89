"""A run as Chrome trace events, which Perfetto and chrome://tracing show."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emu.account import Account, GroupAccount
from emu.devices.holds import HOST, IN_A_WAVE, LINK, NAMES, Hold
from emu.files import check_writable
from emu.ir.errors import BadOption
from emu.ir.program import HostCall, Launch
from emu.ir.replacing import replacing
from emu.run import Compiled

Event = dict[str, Any]
PS_PER_NS = 1000
GROUPS, RESOURCES = 1, 2  # the two processes of a trace
ROWS = (HOST, LINK, *dict.fromkeys((*NAMES.values(), *IN_A_WAVE)))


def write_trace(path: Path, compiled: Compiled) -> None:
    """Write the events of a run as JSON, whole or not at all; raises BadOption."""
    check_writable("--trace", path)
    try:
        with replacing(path) as file:
            file.write(json.dumps(trace_json(compiled), allow_nan=False).encode())
    except OSError as error:
        raise BadOption(f"--trace {path}: cannot be written: {error.strerror}") from error


def trace_json(compiled: Compiled) -> Event:
    """Rows of groups and of resources, arrows for dependencies and counters, as trace events.

    Format: "Trace Event Format", Google, 2016. Times are microseconds in whole nanoseconds, as
    Perfetto reads no less and drops slices of a row that cross; the exact times are arguments.
    """
    account = Account(compiled)
    rows = _rows(account.groups)
    slices = [_group_slice(group, rows[i]) for i, group in enumerate(account.groups)]
    holds = account.chip.holds(compiled.program)
    events = (
        *_names(compiled, rows, holds),
        *slices,
        *_resource_slices(account.groups, holds),
        *_arrows(compiled, slices),
        *_counters(account.groups, holds),
    )
    return {"displayTimeUnit": "ns", "traceEvents": list(events)}


def _rows(groups: tuple[GroupAccount, ...]) -> list[int]:
    """The row of each group: the first one that is free when it starts; slices never cross."""
    free: list[int] = []
    rows: list[int] = []
    for launched in (group.launched for group in groups):
        row = next((i for i, end in enumerate(free) if end <= launched.start_ps), len(free))
        free[row : row + 1] = [launched.end_ps]
        rows.append(row)
    return rows


def _names(compiled: Compiled, rows: list[int], holds: Iterable[Hold]) -> Iterator[Event]:
    """Names of processes and rows, in the order in which they stand."""
    model, device = compiled.model.name, compiled.stack.device.title
    yield _meta("process_name", GROUPS, 0, name=f"groups of {model}")
    yield _meta("process_name", RESOURCES, 0, name=f"resources of {device}, those of one core")
    for row in sorted(set(rows)):
        name = "groups" if row == 0 else f"groups at the same time {row}"
        yield from _named_row(GROUPS, row, name)
    for name in sorted({hold.resource for hold in holds}, key=ROWS.index):
        yield from _named_row(RESOURCES, ROWS.index(name), name)


def _named_row(process: int, row: int, name: str) -> Iterator[Event]:
    yield _meta("thread_name", process, row + 1, name=name)
    yield _meta("thread_sort_index", process, row + 1, sort_index=row)


def _meta(what: str, process: int, thread: int, **args: str | int) -> Event:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": args}


def _us(ps: int) -> float:
    return ps // PS_PER_NS / 1000


def _slice(process: int, row: int, start_ps: int, end_ps: int, args: Event) -> Event:
    return {
        "ph": "X",
        "name": args["group"],
        "cat": args["cause"],
        "pid": process,
        "tid": row + 1,
        "ts": _us(start_ps),
        "dur": (end_ps // PS_PER_NS - start_ps // PS_PER_NS) / 1000,
        "args": {**args, "start_ps": start_ps, "end_ps": end_ps},
    }


def _group_slice(group: GroupAccount, row: int) -> Event:
    """A launch, with its share of the critical path by cause."""
    launched, binding = group.launched, group.binding
    args: Event = {
        "cause": group.bound,
        "group": binding.group.name,
        "kernel": binding.kernel,
        "sources": list(group.sources),
        "charges_ps": {cause: ps for cause, ps in group.ledger.items() if ps},
    }
    return _slice(GROUPS, row, launched.start_ps, launched.end_ps, args)


def _resource_slices(groups: Iterable[GroupAccount], holds: Iterable[Hold]) -> Iterator[Event]:
    by_index = {group.launched.index: group for group in groups}
    for hold in holds:
        args = _held(hold, by_index[hold.index])
        yield _slice(RESOURCES, ROWS.index(hold.resource), hold.start_ps, hold.end_ps, args)


def _held(hold: Hold, group: GroupAccount) -> Event:
    """What a hold is, for which nodes; it is busy by cause, whether on the critical path or not."""
    nodes = sorted({node for node, _ in hold.shares})
    all_of_it = hold.resource in (HOST, LINK)
    sources = group.sources if all_of_it else [s for node in nodes for s in group.nodes[node]]
    busy: dict[str, int] = {}
    for (_, cause), ps in hold.shares.items():
        busy[cause] = busy.get(cause, 0) + ps
    return {
        "cause": max(busy, key=lambda cause: busy[cause]),
        "group": group.binding.group.name,
        "sources": list(dict.fromkeys(sources)),
        "busy_ps": busy,
        "times": hold.times,
    }


def _arrows(compiled: Compiled, slices: list[Event]) -> Iterator[Event]:
    """An arrow from the slice that makes a value to each slice that reads it."""
    maker: dict[str, int] = {}
    number = 0
    for command in compiled.program.commands:
        if not isinstance(command, Launch | HostCall):
            continue
        for value in (v for v in dict.fromkeys(command.ins) if v in maker):
            number += 1
            yield from _arrow(value, number, slices[maker[value]], slices[command.index])
        maker |= dict.fromkeys(command.outs, command.index)


def _arrow(value: str, number: int, maker: Event, reader: Event) -> Iterator[Event]:
    """The two ends of an arrow. A viewer looks for a slice around each: an end would miss it."""
    same = {"cat": "value", "name": value, "id": number, "pid": GROUPS}
    begun = _us((maker["args"]["start_ps"] + maker["args"]["end_ps"]) // 2)
    yield {"ph": "s", **same, "tid": maker["tid"], "ts": begun}
    yield {"ph": "f", "bp": "e", **same, "tid": reader["tid"], "ts": max(begun, reader["ts"])}


def _counters(groups: Iterable[GroupAccount], holds: Iterable[Hold]) -> Iterator[Event]:
    """On-chip bytes held, and mean bandwidths of device memory and link, of what runs at once."""
    launches = [group.launched for group in groups]
    spans = [(launched.start_ps, launched.end_ps) for launched in launches]
    held = [launched.did.peak_onchip_bytes for launched in launches]
    yield from _counter("on-chip memory", "bytes", zip(spans, held, strict=True))
    moved = [launched.did.traffic.total for launched in launches]
    yield from _counter("device memory", "GB/s", _rates(spans, moved))
    copies = [hold for hold in holds if hold.resource == LINK]
    spans = [(hold.start_ps, hold.end_ps) for hold in copies]
    yield from _counter("link", "GB/s", _rates(spans, [hold.size for hold in copies]))


Spans = Iterable[tuple[int, int]]


def _rates(spans: Spans, sizes: Iterable[int]) -> Iterator[tuple[tuple[int, int], int]]:
    """Mean rates in bytes a second, rounded: bytes a ps are TB/s."""
    for (start, end), size in zip(spans, sizes, strict=True):
        if end > start:
            yield (start, end), size * 10**12 // (end - start)


def _counter(
    name: str, unit: str, figures: Iterable[tuple[tuple[int, int], int]]
) -> Iterator[Event]:
    """The sum of figures, each of which holds from a moment to another."""
    changes: dict[int, int] = {}
    for (start, end), figure in figures:
        changes[start] = changes.get(start, 0) + figure
        changes[end] = changes.get(end, 0) - figure
    now, per_unit = 0, SCALE[unit]
    for moment in sorted(changes):
        now += changes[moment]
        args: Mapping[str, float] = {unit: now / per_unit}
        yield {"ph": "C", "name": name, "pid": RESOURCES, "ts": _us(moment), "args": args}


SCALE = {"bytes": 1, "GB/s": 10**9}
