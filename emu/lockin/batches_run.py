"""``emu run MODEL --stack NAME --batches N,N,...``, behind the flags."""

import json
from collections.abc import Callable

from emu.commands import shape_of
from emu.flags import BatchFlags, Request, limits_of
from emu.foreign import is_path
from emu.ir.errors import BadOption, EmuError
from emu.lockin.asked import BATCH, opened
from emu.lockin.batches import Batch, batch_json, batches_text, parse_batches, run_batches
from emu.lockin.buckets import Buckets
from emu.lockin.session import Session
from emu.lockin.stacked import catalogue_of, known_stack
from emu.models.model import Model
from emu.pipeline import open_model

# The parameters of `emu run` that go with several batches.
TAKEN = frozenset(
    (
        "model",
        "more",
        "set_",
        "dim",
        "limits",
        "on",
        "batches",
        "buckets",
        "no_values",
        "no_check",
        "json",
    )
)


def run(
    asked: Request,
    stack: str | None,
    flags: BatchFlags,
    given: frozenset[str],
    check: bool,
    as_json: bool,
) -> None:
    """Run a stack at several batches and print a row for each; raises EmuError for wrong values."""
    text = flags.batches
    if text is None:
        raise BadOption(f"--buckets {flags.buckets}: goes with --batches N,N,...")
    if stack is None:
        raise BadOption(f"--batches {text}: goes with --stack NAME")
    if wrong := sorted(given - TAKEN):
        raise BadOption(f"--{wrong[0].replace('_', '-')}: does not go with --batches {text}")
    batches = parse_batches(text)
    buckets = () if flags.buckets is None else parse_batches(flags.buckets, "--buckets")
    catalogue, name = catalogue_of(stack)
    choice = known_stack(catalogue, name)
    _, laboratory = opened(catalogue, asked, open_batch=True)
    session = Buckets.of(choice, laboratory, buckets) if buckets else Session(choice, laboratory)
    found = run_batches(session, batches, _models(asked) if check else None)
    if as_json:
        said = {"schema": "emu.batches/1", "model": asked.model, "stack": name}
        print(json.dumps({**said, "runs": [batch_json(run) for run in found]}))
    else:
        print(f"{asked.model} on {name}\n")
        print("\n".join((*batches_text({"": found}), *_values(found))))
    _must_be_right(found)


def _models(asked: Request) -> Callable[[int], Model]:
    """The model of a batch: a file as it is, or the zoo's with that setting."""
    settings, _ = shape_of(asked)
    limits = limits_of(asked.shape.limits, asked.shape.more)
    if is_path(asked.model):
        file = open_model(asked.model, settings, limits)
        return lambda batch: file
    return lambda batch: open_model(asked.model, {**settings, BATCH: batch})


def _values(found: tuple[Batch, ...]) -> tuple[str, ...]:
    checks = [run.check for run in found if run.check is not None]
    if not checks:
        return ()
    worst = max(checks, key=lambda check: check.max_rel_error)
    return ("", f"values   {'equal to' if worst.ok else 'NOT as'} {worst}")


def _must_be_right(found: tuple[Batch, ...]) -> None:
    for run in found:
        if run.check is not None and not run.check.ok:
            raise EmuError(f"the values of batch {run.batch} are not as {run.check}")
