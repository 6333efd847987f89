"""What ``emu coverage`` prints: who computes a model, and the kernels-to-add curve."""

import json as json_text
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from emu.as_json import stack_json
from emu.commands import compile_asked
from emu.dump import Watch
from emu.flags import Request
from emu.run import Compiled
from emu.studies.coverage import Point, Shares, curve, shares
from emu.table import percent, plain, room, table, us

LONGEST_BAR = 24


def show(asked: Request, as_json: bool) -> None:
    """Compile a model, and print who computes it and which kernels would pay."""
    executable = compile_asked(asked, Watch())
    compiled, points = executable.compiled, curve(executable)
    found = shares(compiled)
    if as_json:
        print(json_text.dumps(coverage_json(compiled, found, points), allow_nan=False))
    else:
        print("\n".join(_text(compiled, found, points)))


def coverage_json(compiled: Compiled, found: Shares, points: Sequence[Point]) -> dict[str, Any]:
    """Schema emu.coverage/1; the first point of the curve, without a kernel, is the stack's own."""
    return {
        "schema": "emu.coverage/1",
        "model": compiled.model.name,
        "stack": stack_json(compiled.stack),
        "nodes": dict(found.nodes),
        "operations": dict(found.operations),
        "time_ps": dict(found.time_ps),
        "curve": [{"kernel": p.kernel, "latency_ps": p.latency_ps} for p in points],
    }


def _text(compiled: Compiled, found: Shares, points: Sequence[Point]) -> Iterator[str]:
    stack = compiled.stack
    yield (
        f"{plain(compiled.model.name)} on {stack.device.name}, fusion {stack.compiler.scope}, "
        f"kernels {stack.kernels}, fallback {stack.compiler.fallback}"
    )
    yield ""
    head = ("computed by", "nodes", "operations", "us", "share of time")
    yield from table(head, list(_rows(found)))
    yield ""
    yield from _curve(points)


def _rows(found: Shares) -> Iterator[Sequence[str]]:
    total = sum(found.time_ps.values())
    for kind, ps in found.time_ps.items():
        share = percent(ps, total)
        yield kind, f"{found.nodes[kind]:,}", f"{found.operations[kind]:,}", us(ps), share
    yield "sum", _sum(found.nodes), _sum(found.operations), us(total), percent(total, total)


def _sum(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values()):,}"


def _curve(points: Sequence[Point]) -> Iterator[str]:
    """A line for each kernel that removes time, and one for all the others."""
    saved = [(new, old.latency_ps - new.latency_ps) for old, new in pairwise(points)]
    useful = [(point, ps) for point, ps in saved if ps]
    head = ("kernel to add next", "us", "removes us")
    rows = [("(the stack as it is)", us(points[0].latency_ps), us(0))]
    rows += [(f"+ {p.kernel}", us(p.latency_ps), us(ps)) for p, ps in useful]
    longest = min(room(head, rows), LONGEST_BAR)
    times = [points[0].latency_ps, *(p.latency_ps for p, _ in useful)]
    bars = ["#" * max(1, round(longest * ps / max(*times, 1))) for ps in times]
    yield from table((*head, ""), [(*row, bar) for row, bar in zip(rows, bars, strict=True)])
    if idle := len(points) - 1 - len(useful):
        yield f"{idle} other kernels of the whole library remove nothing here"
