"""``--batches N,N,...`` and ``--lengths N,N,...``: a program with that dimension open, run at each.

The compiler compiles each shape when it meets it first, and the driver what is portable in it; both
keep what they made, so a size that comes again costs its warm run only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emu.executing.reference import onnxruntime_outputs
from emu.executing.values import allowed_error, compare
from emu.ir.errors import BadOption, EmuError
from emu.ir.graph import Graph
from emu.ir.types import Array
from emu.lockin.buckets import Buckets, as_text
from emu.lockin.bundles import dtype_of
from emu.lockin.dimension import BATCH, Dimension
from emu.lockin.pieces import Arrays
from emu.lockin.session import Session
from emu.models.inputs import random_inputs
from emu.models.model import Model
from emu.run import Check
from emu.table import table, us

MOST_DIGITS = 9  # of a size
# How much nearer than to a stack onnxruntime is to itself: it sums in the same order, so that one
# position of some hundreds, which adds little, is seen.
NEARER = 10
MASK = "mask"  # in the name of an input that shows and hides places
Models = Callable[[int], Model]


@dataclass(frozen=True)
class SizeRun:
    """One run: what compiler and driver compiled for it, its picoseconds with that, its values.

    ``buckets`` are what it was run in, if not as it is.
    """

    size: int
    compiles: int
    recompiles: int
    ps: int
    check: Check | None = None
    buckets: tuple[int, ...] = ()


def parse_sizes(text: str, flag: str) -> tuple[int, ...]:
    """The sizes of N,N,...; raises BadOption, which names the ``flag``, for anything else."""
    words = [word.strip() for word in text.split(",")]
    if not all(w.isascii() and w.isdigit() and len(w) <= MOST_DIGITS and int(w) for w in words):
        raise BadOption(f"{flag} {text}: write whole numbers with commas, as 1,8,1")
    return tuple(int(word) for word in words)


def run_sizes(
    session: Session | Buckets, sizes: Sequence[int], model: Models | None = None
) -> tuple[SizeRun, ...]:
    """Run a stack at each size in turn, in its buckets if there are some.

    With a ``model``, that of a size, values are computed from random inputs and compared with what
    onnxruntime computes for it. Raises BadOption for a size that no buckets hold, before anything
    runs; EmuError for one whose values are others in its buckets, whatever stack computes them; and
    what opening and running a session raise.
    """
    buckets = session if isinstance(session, Buckets) else None
    parts = [buckets.parts(size) if buckets else () for size in sizes]
    return tuple(_run(session, *asked, model) for asked in zip(sizes, parts, strict=True))


def _run(
    session: Session | Buckets, size: int, parts: tuple[int, ...], model: Models | None
) -> SizeRun:
    if model is None:
        ran, check = session.run(size=size), None
    else:
        graph = session.laboratory.source.of_size(size).graph
        inputs = _inputs(graph)
        known = onnxruntime_outputs(model(size), inputs)
        if isinstance(session, Buckets) and parts != (size,):
            _must_hold(session, size, model, inputs, known)
        ran = session.run(inputs, size)
        dtype = dtype_of(session.choice["kernels"], session.chip)
        check = compare(ran.outputs, known, allowed_error(dtype, graph))
    return SizeRun(size, ran.compiles, ran.recompiles, sum(ran.ledger.values()), check, parts)


def _inputs(graph: Graph) -> dict[str, Array]:
    """Random inputs, with ones for a mask, which thereby shows all that is no padding."""
    found = random_inputs(graph, 0)
    return {n: np.ones_like(a) if MASK in n.lower() else a for n, a in found.items()}


def _must_hold(buckets: Buckets, size: int, model: Models, inputs: Arrays, known: Arrays) -> None:
    """Raise EmuError if onnxruntime itself computes other values in buckets than at once."""
    pieces, dimension = buckets.pieces(size), buckets.dimension
    models = {part: model(part) for part in {*pieces.parts}}
    found = [onnxruntime_outputs(models[part], given) for part, given in pieces.given(inputs)]
    graph = buckets.laboratory.source.of_size(size).graph
    check = compare(pieces.whole(found), known, allowed_error("fp32", graph) / NEARER)
    if not check.ok:
        where = f"{dimension.name} {size}, run in {as_text(pieces.parts)}"
        raise EmuError(f"{where}: {dimension.leak}; the values are not as {check}")


def sizes_text(
    found: Mapping[str, Sequence[SizeRun]], dimension: Dimension = BATCH
) -> Iterator[str]:
    """A row for each size, with columns for each stack, by what it is called."""
    head = [cell for name in found for cell in (f"{name} us".strip(), "compiled")]
    rows = [
        (str(runs[0].size), *(cell for run in runs for cell in _cells(run)))
        for runs in zip(*found.values(), strict=True)
    ]
    buckets = [as_text(runs[0].buckets) for runs in zip(*found.values(), strict=True)]
    if not any(buckets):
        yield from table((dimension.name, *head), rows)
        return
    run_in = [(size, bucket, *cells) for (size, *cells), bucket in zip(rows, buckets, strict=True)]
    yield from table((dimension.name, "run in", *head), run_in)


def _cells(run: SizeRun) -> tuple[str, str]:
    late = f" + {run.recompiles} by the driver" if run.recompiles else ""
    return us(run.ps), f"{run.compiles}{late}"


def size_json(run: SizeRun, dimension: Dimension = BATCH) -> dict[str, Any]:
    """One run, in picoseconds; ``values`` is None where none were computed."""
    return {
        dimension.name: run.size,
        **({"buckets": list(run.buckets)} if run.buckets else {}),
        "compiles": run.compiles,
        "recompiles": run.recompiles,
        "latency_ps": run.ps,
        "values": None if run.check is None else run.check.ok,
    }
