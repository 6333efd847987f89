"""Measure a real GPU with PyTorch: rows and facts to hold emu's cost model to.

Needs torch, cupy and nvidia-ml-py on a machine with a GPU; none is a dependency of emu.

    python -m benches.measure_gpu OUT_FOLDER

writes ``facts.csv`` (power, energy and rates of single resources), ``op.csv`` and ``model.csv`` (in
the columns of emu/validation/rows). Kernel time is that of CUDA events around calls that follow
each other; wall clock is that of one call with synchronisation, the median of many.
"""

import csv
import sys
import time
from pathlib import Path

from benches.gpu.calls import dispatch
from benches.gpu.models import MODELS, models
from benches.gpu.ops import OPS, ops
from benches.gpu.power import powers
from benches.gpu.timers import FACTS


def save(folder: Path) -> None:
    """Write what has been measured so far."""
    with (folder / "facts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("what", "value", "unit"), *FACTS])
    for name, rows in (("op.csv", OPS), ("model.csv", MODELS)):
        if rows:
            with (folder / name).open("w", newline="") as file:
                out = csv.DictWriter(file, list(rows[0]))
                out.writeheader()
                out.writerows(rows)


if __name__ == "__main__":
    for part in (powers, ops, dispatch, models):
        began = time.perf_counter()
        part()
        save(Path(sys.argv[1]))
        print(f"-- {part.__name__} took {time.perf_counter() - began:.0f} s", flush=True)
