"""A run as Chrome trace events, which Perfetto and chrome://tracing show."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emu.account import Account, GroupAccount
from emu.files import check_writable
from emu.ir.errors import BadOption
from emu.ir.program import HostCall, Launch
from emu.ir.replacing import replacing
from emu.run import Compiled

Event = dict[str, Any]
PS_PER_US = 1e6
PROCESS = 1


def write_trace(path: Path, compiled: Compiled) -> None:
    """Write the events of a run as JSON, whole or not at all; raises BadOption."""
    check_writable("--trace", path)
    try:
        with replacing(path) as file:
            file.write(json.dumps(trace_json(compiled), allow_nan=False).encode())
    except OSError as error:
        raise BadOption(f"--trace {path}: cannot be written: {error.strerror}") from error


def trace_json(compiled: Compiled) -> Event:
    """Rows of slices, arrows for dependencies and counters, in the trace event format.

    Format: "Trace Event Format", Google, 2016. Times are microseconds.
    """
    account = Account(compiled)
    rows = _rows(account.groups)
    slices = [_slice(group, rows[i]) for i, group in enumerate(account.groups)]
    named = [_row_name(name, number) for name, number in sorted(set(rows))]
    arrows, counters = _arrows(compiled, slices), _counters(account.groups)
    return {"displayTimeUnit": "ns", "traceEvents": [*named, *slices, *arrows, *counters]}


def _rows(groups: tuple[GroupAccount, ...]) -> list[tuple[str, int]]:
    """The row of each group: its resource, and the first lane that is free; slices never cross."""
    free: dict[str, list[int]] = {}
    rows: list[tuple[str, int]] = []
    for group in groups:
        name = "host" if group.binding.program is None else "device"
        lanes = free.setdefault(name, [])
        start, end = group.launched.start_ps, group.launched.end_ps
        lane = next((i for i, until in enumerate(lanes) if until <= start), len(lanes))
        lanes[lane : lane + 1] = [end]
        rows.append((name, lane))
    return rows


def _thread(row: tuple[str, int]) -> int:
    name, lane = row
    return 2 * lane + (2 if name == "host" else 1)


def _row_name(name: str, lane: int) -> Event:
    label = name if lane == 0 else f"{name}, at the same time {lane}"
    thread = {"pid": PROCESS, "tid": _thread((name, lane))}
    return {"ph": "M", "name": "thread_name", **thread, "args": {"name": label}}


def _slice(group: GroupAccount, row: tuple[str, int]) -> Event:
    launched, binding = group.launched, group.binding
    return {
        "ph": "X",
        "name": binding.group.name,
        "cat": group.bound,
        "pid": PROCESS,
        "tid": _thread(row),
        "ts": launched.start_ps / PS_PER_US,
        "dur": (launched.end_ps - launched.start_ps) / PS_PER_US,
        "args": {
            "cause": group.bound,
            "group": binding.group.name,
            "kernel": binding.kernel,
            "sources": list(group.sources),
            "charges_ps": {cause: ps for cause, ps in group.ledger.items() if ps},
        },
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


def _arrow(value: str, number: int, source: Event, reader: Event) -> Iterator[Event]:
    same = {"cat": "value", "name": value, "id": number, "pid": PROCESS}
    end = source["ts"] + source["dur"]
    yield {"ph": "s", **same, "tid": source["tid"], "ts": end}
    yield {"ph": "f", "bp": "e", **same, "tid": reader["tid"], "ts": max(end, reader["ts"])}


def _counters(groups: tuple[GroupAccount, ...]) -> Iterator[Event]:
    """On-chip bytes held and mean bandwidth of device memory, summed over what runs at once."""
    changes: dict[int, list[float]] = {}
    for launched in (group.launched for group in groups):
        start, end = launched.start_ps, launched.end_ps
        if end == start:
            continue
        held = launched.did.peak_onchip_bytes
        rate = launched.did.traffic.total * 1000 / (end - start)  # bytes a ps are TB/s
        for moment, sign in ((start, 1), (end, -1)):
            now = changes.setdefault(moment, [0, 0])
            now[0] += sign * held
            now[1] += sign * rate
    bytes_held, gb_s = 0.0, 0.0
    for moment in sorted(changes):
        bytes_held, gb_s = bytes_held + changes[moment][0], gb_s + changes[moment][1]
        yield _counter("on-chip memory", moment, "bytes", bytes_held)
        yield _counter("device memory", moment, "GB/s", max(0.0, round(gb_s, 3)))


def _counter(name: str, moment: int, unit: str, figure: float) -> Event:
    args = {unit: figure}
    return {"ph": "C", "name": name, "pid": PROCESS, "ts": moment / PS_PER_US, "args": args}
