"""What ``emu perturb`` prints: groups and latency of every spelling, and why they moved."""

import json as json_text
from collections.abc import Iterator, Mapping
from math import isfinite
from textwrap import wrap
from typing import Any

from emu.as_json import stack_json
from emu.flags import Request
from emu.ir.errors import EmuError
from emu.ir.spellings import SPELLINGS
from emu.studies.perturb import Deviation, Kind, Perturbed, Spelled, perturb
from emu.table import COLUMNS, plain, short, table, us

SHOWN = 3  # kinds of decisions that a deviation shows of each side
REASON = 120  # letters of a reason
NANOSECOND = 1000  # in ps


def show(asked: Request, node: str | None, values: bool, threads: int, as_json: bool) -> None:
    """Perturb a model and print what came of it; raises EmuError if values are wrong."""
    found = perturb(asked, node, values, threads)
    if as_json:
        print(json_text.dumps(perturb_json(found), allow_nan=False))
    else:
        print("\n".join(_text(found)))
    if found.wrong:
        names = ", ".join(f"'{s.name}'" for s in found.wrong)
        raise EmuError(f"the values of {names} are not within {found.tolerance:.0e} of the model's")


def perturb_json(found: Perturbed) -> dict[str, Any]:
    """Schema emu.perturb/1: every spelling that occurs, the original first."""
    return {
        "schema": "emu.perturb/1",
        "model": found.graph.name,
        "stack": stack_json(found.stack),
        "tolerance": found.tolerance,
        "absent": list(found.absent),
        "spellings": [_spelled_json(found, spelled) for spelled in found.spellings],
    }


def _spelled_json(found: Perturbed, spelled: Spelled) -> dict[str, Any]:
    error = spelled.max_rel_error
    return {
        "name": spelled.name,
        "sites": spelled.sites,
        "max_rel_error": error if error is None or isfinite(error) else None,
        "scopes": {
            scope: {"groups": spelled.groups(scope), "latency_ps": spelled.latency_ps(scope)}
            for scope in spelled.scopes
        },
        "deviations": [_deviation_json(d) for d in found.deviations if d.spelling == spelled.name],
    }


def _deviation_json(deviation: Deviation) -> dict[str, Any]:
    return {
        "scope": deviation.scope,
        "lost": [_kind_json(k, n) for k, n in deviation.lost.items()],
        "gained": [_kind_json(k, n) for k, n in deviation.gained.items()],
        "ledger_ps": dict(deviation.ledger_ps),
    }


def _kind_json(kind: Kind, count: int) -> dict[str, Any]:
    ok, code, why = kind
    return {"ok": ok, "code": code, "why": why, "count": count}


def _text(found: Perturbed) -> Iterator[str]:
    stack, scopes = found.stack, tuple(found.spellings[0].scopes)
    yield (
        f"{plain(found.graph.name)} on {stack.device.name}, kernels {stack.kernels}: "
        f"{len(found.spellings) - 1} other spellings"
    )
    yield ""
    yield from table(
        ("groups (x sites)", "error", *scopes),
        [(*_name(s), *(str(s.groups(c)) for c in scopes)) for s in found.spellings],
    )
    yield ""
    yield from table(
        ("latency in us", *scopes),
        [(s.name, *(us(s.latency_ps(c)) for c in scopes)) for s in found.spellings],
    )
    if found.absent:
        yield ""
        yield from wrap(f"nowhere to be found: {', '.join(found.absent)}", COLUMNS)
    for deviation in found.deviations:
        yield from _why(deviation)


def _name(spelled: Spelled) -> tuple[str, str]:
    error = spelled.max_rel_error
    name = f"{spelled.name} x{spelled.sites}" if spelled.sites else spelled.name
    return name, "" if error is None else f"{error:.0e}"


def _why(deviation: Deviation) -> Iterator[str]:
    groups, times = deviation.groups, deviation.latency_ps
    count = f"{groups[0]} -> {groups[1]}" if groups[0] != groups[1] else f"still {groups[0]}"
    about = SPELLINGS[deviation.spelling].about
    yield ""
    yield f"{deviation.spelling} under {deviation.scope}: {about}"
    yield f"  {count} groups, {_signed(times[1] - times[0])}"
    if not deviation.lost and not deviation.gained:
        yield "  every decision is the same; the numbers are not"
    yield from _kinds("gone", deviation.lost)
    yield from _kinds("new", deviation.gained)
    ranked = sorted(deviation.ledger_ps.items(), key=lambda item: -abs(item[1]))
    moved = ", ".join(f"{cause} {_signed(ps)}" for cause, ps in ranked[:SHOWN])
    yield from _wrapped(f"ledger: {moved or 'the same causes'}")


def _signed(ps: int) -> str:
    """A difference in microseconds, in picoseconds if it is too small."""
    return f"{ps / 1e6:+,.3f} us" if abs(ps) >= NANOSECOND else f"{ps:+,} ps"


def _kinds(word: str, kinds: Mapping[Kind, int]) -> Iterator[str]:
    ranked = sorted(kinds.items(), key=lambda item: (not item[0][0], -item[1]))
    for (ok, code, why), count in ranked[:SHOWN]:
        verdict = "accepted" if ok else "refused"
        yield from _wrapped(f"{word}: {count} {verdict} {code}: {short(why, REASON)}")
    if len(ranked) > SHOWN:
        yield f"  {word}: {len(ranked) - SHOWN} other kinds of decisions"


def _wrapped(text: str) -> list[str]:
    return wrap(text, COLUMNS, initial_indent="  ", subsequent_indent="    ")
