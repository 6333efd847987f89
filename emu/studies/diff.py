"""``emu diff``: from two run files, or quoted flags of stacks, to the gap between them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from emu.as_json import capacity_json, stack_json, traffic_json
from emu.commands import compile_asked, kept
from emu.dump import Watch
from emu.flags import ModelFlags, Request, StackFlags, parse_request
from emu.ir.errors import BadOption
from emu.ir.trace import Traffic
from emu.kept import KeptRun
from emu.studies.diff_report import report
from emu.studies.gap import Gap, Match, gap_of
from emu.studies.run_file import is_run_file, read_run

Side = KeptRun | Request


def diff(a: str, b: str, model: str, as_json: bool, limits: list[str] | None = None) -> None:
    """Print the gap from ``a`` to ``b``, each a run file or the flags of a stack.

    A side that names no model is of ``model``, or else of the other side's; one that names no
    ``limits`` of a model file has those.
    """
    first, second = _side(a, limits), _side(b, limits)
    gap = gap_of(_run(first, second, model), _run(second, first, model))
    print(json.dumps(diff_json(gap), allow_nan=False) if as_json else report(gap))


def diff_json(gap: Gap) -> dict[str, Any]:
    """The gap under schema emu.diff/1; ``by_source_and_cause`` leaves out what is zero."""
    return {
        "schema": "emu.diff/1",
        "a": _run_json(gap.a),
        "b": _run_json(gap.b),
        "a_ps": gap.a.latency_ps,
        "b_ps": gap.b.latency_ps,
        "gap_ps": gap.ps,
        "by_cause": dict(gap.by_cause),
        "by_source": dict(gap.by_source),
        "by_source_and_cause": {
            source: dict(gaps) for source, gaps in gap.by_source_and_cause.items() if gaps
        },
        "groups": [_match_json(match) for match in gap.matches],
    }


def _run_json(run: KeptRun) -> dict[str, Any]:
    excess = capacity_json(run.over_capacity)
    return {"model": run.model.name, "stack": stack_json(run.stack), **excess}


def _match_json(match: Match) -> dict[str, Any]:
    """Matched groups: the model's nodes in them, their part of the gap, and what they were."""
    return {
        "sources": list(match.sources),
        "a_ps": match.a_ps,
        "b_ps": match.b_ps,
        "gap_ps": match.ps,
        "a": [group.name for group in match.a],
        "b": [group.name for group in match.b],
        "a_dram_bytes": traffic_json(sum((g.dram_bytes for g in match.a), Traffic())),
        "b_dram_bytes": traffic_json(sum((g.dram_bytes for g in match.b), Traffic())),
    }


def _side(text: str, limits: list[str] | None) -> Side:
    if is_run_file(text):
        return read_run(Path(text))
    asked = parse_request(text.strip())
    return replace(asked, shape=replace(asked.shape, limits=asked.shape.limits or limits))


def _run(side: Side, other: Side, model: str) -> KeptRun:
    """The run of one side; a side of flags is compiled."""
    if isinstance(side, KeptRun):
        return side
    asked = side if side.model else _named(side, other, model)
    return kept(compile_asked(asked, Watch()).run(values=False), asked)


def _named(side: Request, other: Side, model: str) -> Request:
    """A side's flags on the model that is named elsewhere, shaped as there unless it says how."""
    if model:
        return replace(side, model=model)
    found = other if isinstance(other, Request) else _asked_for(other)
    if not found.model:
        raise BadOption("neither side names a model: write it before the flags, or as --model")
    shape = side.shape if _is_shaped(side.shape) else found.shape
    return replace(side, model=found.model, shape=shape)


def _is_shaped(shape: ModelFlags) -> bool:
    return bool(shape.more or shape.set_ or shape.dim)


def _asked_for(run: KeptRun) -> Request:
    """The model of a kept run as flags name it."""
    settings, dims = (_pairs(numbers) for numbers in (run.model.settings, run.model.dims))
    return Request(run.model.asked, ModelFlags(None, settings, dims), StackFlags())


def _pairs(numbers: Mapping[str, int]) -> list[str]:
    return [f"{key}={number}" for key, number in numbers.items()]
