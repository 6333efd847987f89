"""``emu run MODEL --stack NAME --batches N,N,...`` or ``--lengths N,N,...``, behind the flags."""

import json

from emu.flags import Request, SizeFlags
from emu.ir.errors import BadOption, EmuError
from emu.lockin.asked import models, opened
from emu.lockin.buckets import Buckets
from emu.lockin.dimension import BATCH, LENGTH, Dimension
from emu.lockin.session import Session
from emu.lockin.sizes import SizeRun, parse_sizes, run_sizes, size_json, sizes_text
from emu.lockin.stacked import catalogue_of, known_stack

# The parameters of `emu run` that go with several batches or lengths.
TAKEN = frozenset(
    (
        "model",
        "more",
        "set_",
        "dim",
        "limits",
        "on",
        "batches",
        "lengths",
        "buckets",
        "no_values",
        "no_check",
        "json",
    )
)


def run(
    asked: Request,
    stack: str | None,
    flags: SizeFlags,
    given: frozenset[str],
    check: bool,
    as_json: bool,
) -> None:
    """Run a stack at several sizes and print a row for each; raises EmuError for wrong values."""
    dimension, text = _left_open(flags)
    said = f"{dimension.flag} {text}"
    if stack is None:
        raise BadOption(f"{said}: goes with --stack NAME")
    if wrong := sorted(given - TAKEN):
        raise BadOption(f"--{wrong[0].replace('_', '-')}: does not go with {said}")
    sizes = parse_sizes(text, dimension.flag)
    buckets = () if flags.buckets is None else parse_sizes(flags.buckets, "--buckets")
    catalogue, name = catalogue_of(stack)
    choice = known_stack(catalogue, name)
    model, laboratory = opened(catalogue, asked, left_open=dimension, size=sizes[0])
    session = (
        Buckets(choice, laboratory, buckets, dimension) if buckets else Session(choice, laboratory)
    )
    of_size = models(asked, model, laboratory.source.symbols)
    found = run_sizes(session, sizes, of_size if check else None)
    if as_json:
        told = {"schema": f"emu.{dimension.flag[2:]}/1", "model": asked.model, "stack": name}
        print(json.dumps({**told, "runs": [size_json(run, dimension) for run in found]}))
    else:
        print(f"{asked.model} on {name}\n")
        print("\n".join((*sizes_text({"": found}, dimension), *_values(found))))
    _must_be_right(found, dimension)


def _left_open(flags: SizeFlags) -> tuple[Dimension, str]:
    """The dimension that is left open, and its sizes; raises BadOption unless it is one."""
    batches, lengths = flags.batches, flags.lengths
    if batches is not None and lengths is not None:
        raise BadOption(f"--lengths {lengths}: does not go with --batches {batches}")
    if batches is not None:
        return BATCH, batches
    if lengths is not None:
        return LENGTH, lengths
    raise BadOption(f"--buckets {flags.buckets}: goes with --batches N,N,... or --lengths N,N,...")


def _values(found: tuple[SizeRun, ...]) -> tuple[str, ...]:
    checks = [run.check for run in found if run.check is not None]
    if not checks:
        return ()
    worst = max(checks, key=lambda check: check.max_rel_error)
    return ("", f"values   {'equal to' if worst.ok else 'NOT as'} {worst}")


def _must_be_right(found: tuple[SizeRun, ...], dimension: Dimension) -> None:
    for run in found:
        if run.check is not None and not run.check.ok:
            raise EmuError(f"the values of {dimension.name} {run.size} are not as {run.check}")
