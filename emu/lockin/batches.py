"""``--batches N,N,...``: a program with an open batch, run at one batch after another.

The compiler compiles each shape when it meets it first, and the driver what is portable in it; both
keep what they made, so a batch that comes again costs its warm run only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emu.executing.reference import onnxruntime_outputs
from emu.executing.values import compare
from emu.ir.errors import BadOption
from emu.ir.precision import DTYPES
from emu.lockin.buckets import Buckets, as_text
from emu.lockin.bundles import dtype_of
from emu.lockin.session import Session
from emu.models.inputs import random_inputs
from emu.models.model import Model
from emu.run import Check
from emu.table import table, us

MOST_DIGITS = 9  # of a batch


@dataclass(frozen=True)
class Batch:
    """One run: what compiler and driver compiled for it, its picoseconds with that, its values.

    ``buckets`` are what it was run in, if not as it is.
    """

    batch: int
    compiles: int
    recompiles: int
    ps: int
    check: Check | None = None
    buckets: tuple[int, ...] = ()


def parse_batches(text: str, flag: str = "--batches") -> tuple[int, ...]:
    """The batches of N,N,...; raises BadOption, which names the ``flag``, for anything else."""
    words = [word.strip() for word in text.split(",")]
    if not all(w.isascii() and w.isdigit() and len(w) <= MOST_DIGITS and int(w) for w in words):
        raise BadOption(f"{flag} {text}: write whole numbers with commas, as 1,8,1")
    return tuple(int(word) for word in words)


def run_batches(
    session: Session | Buckets,
    batches: Sequence[int],
    model: Callable[[int], Model] | None = None,
) -> tuple[Batch, ...]:
    """Run a stack at each batch in turn, in its buckets if there are some.

    With a ``model``, that of a batch, values are computed from random inputs and compared with what
    onnxruntime computes for it. Raises what opening and running a session raise.
    """
    return tuple(_run(session, batch, model) for batch in batches)


def _run(session: Session | Buckets, batch: int, model: Callable[[int], Model] | None) -> Batch:
    parts = session.parts(batch) if isinstance(session, Buckets) else ()
    if model is None:
        ran, check = session.run(batch=batch), None
    else:
        inputs = random_inputs(session.laboratory.source.of_batch(batch).graph, 0)
        ran = session.run(inputs, batch)
        dtype = dtype_of(session.choice["kernels"], session.chip)
        known = onnxruntime_outputs(model(batch), inputs)
        check = compare(ran.outputs, known, DTYPES[dtype].tolerance)
    return Batch(batch, ran.compiles, ran.recompiles, sum(ran.ledger.values()), check, parts)


def batches_text(found: Mapping[str, Sequence[Batch]]) -> Iterator[str]:
    """A row for each batch, with columns for each stack, by what it is called."""
    head = [cell for name in found for cell in (f"{name} us".strip(), "compiled")]
    rows = [
        (str(runs[0].batch), *(cell for run in runs for cell in _cells(run)))
        for runs in zip(*found.values(), strict=True)
    ]
    buckets = [as_text(runs[0].buckets) for runs in zip(*found.values(), strict=True)]
    if not any(buckets):
        yield from table(("batch", *head), rows)
        return
    run_in = [
        (batch, bucket, *cells) for (batch, *cells), bucket in zip(rows, buckets, strict=True)
    ]
    yield from table(("batch", "run in", *head), run_in)


def _cells(run: Batch) -> tuple[str, str]:
    late = f" + {run.recompiles} by the driver" if run.recompiles else ""
    return us(run.ps), f"{run.compiles}{late}"


def batch_json(run: Batch) -> dict[str, Any]:
    """One run, in picoseconds; ``values`` is None where none were computed."""
    return {
        "batch": run.batch,
        **({"buckets": list(run.buckets)} if run.buckets else {}),
        "compiles": run.compiles,
        "recompiles": run.recompiles,
        "latency_ps": run.ps,
        "values": None if run.check is None else run.check.ok,
    }
