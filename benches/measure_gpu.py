"""Measure a real GPU with PyTorch: rows and facts to hold emu's cost model to.

Needs torch, cupy and nvidia-ml-py on a machine with a GPU; none is a dependency of emu.

    python -m benches.measure_gpu OUT_FOLDER

writes ``facts.csv`` (power, energy and rates of single resources), and ``gemm.csv``, ``op.csv`` and
``model.csv`` in the columns of emu/validation/rows. Kernel time is that of CUDA events around calls
that follow each other; wall clock is that of one call with synchronisation, the median of many.
"""

import csv
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benches.gpu.calls import dispatch
from benches.gpu.models import MODELS, models
from benches.gpu.ops import FROM_DRAM, OPS, ops
from benches.gpu.power import powers
from benches.gpu.timers import FACTS

SOURCE = (
    f"measured by benches/measure_gpu.py (PyTorch {torch.__version__}, CUDA {torch.version.cuda})"
)


def save(folder: Path) -> None:
    """Write what has been measured so far."""
    with (folder / "facts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("what", "value", "unit"), *FACTS])
    for name, rows in (("gemm.csv", list(products())), ("op.csv", OPS), ("model.csv", MODELS)):
        if rows:
            with (folder / name).open("w", newline="") as file:
                out = csv.DictWriter(file, [*rows[0], "source"])
                out.writeheader()
                out.writerows({**row, "source": SOURCE} for row in rows)


def products() -> Iterator[dict[str, object]]:
    """The products from DRAM among the ops, as rows of their own."""
    for row in OPS:
        if row["op"] == "matmul" and row["method"] == FROM_DRAM:
            m, n, k = map(int, re.findall(r"\d+", str(row["shape"])))
            us = float(str(row["time_us"]))
            yield {
                "device": row["device"],
                "dtype": row["dtype"],
                **{"M": m, "N": n, "K": k},
                "library": "cuBLAS",
                "tflops": 2 * m * n * k / us / 1e6,
                "time_us_derived": us,
            }


if __name__ == "__main__":
    for part in (powers, ops, dispatch, models):
        began = time.perf_counter()
        part()
        save(Path(sys.argv[1]))
        print(f"-- {part.__name__} took {time.perf_counter() - began:.0f} s", flush=True)
