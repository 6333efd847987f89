"""Every file of the corpus on three devices at two scopes, against onnxruntime.

``python -m benches.corpus [NAME ...]`` from the checkout; exits with 1 if a value is wrong.
"""

import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import EmuError
from emu.models.reader import read_model
from emu.pipeline import compile
from tests.corpus.cases import ATOL, PAIRS, RTOL, dims_of_file, paths


def main(names: list[str]) -> int:
    """Print a line a file, and return the exit code."""
    bad = 0
    for path in paths():
        if not names or path.stem in names:
            said = [_tried(path, *pair) for pair in PAIRS]
            bad += sum(not word.startswith("ok") for word in said)
            print(f"{path.stem:<22} {', '.join(said)}", flush=True)
    print(f"{bad} wrong")
    return 1 if bad else 0


def _tried(path: Path, device: str, scope: str) -> str:
    start = perf_counter()
    try:
        run = compile(path, device=device, fusion=scope, dims=dims_of_file(path)).run(check=False)
    except EmuError as error:
        return f"{device}/{scope}: {error}"
    assert run.inputs is not None
    assert run.outputs is not None
    made, expected = run.outputs, onnxruntime_outputs(read_model(path), run.inputs)
    close = all(np.allclose(made[n], v, RTOL, ATOL, equal_nan=True) for n, v in expected.items())
    seconds = perf_counter() - start
    return f"ok {seconds:.1f} s" if close else f"{device}/{scope}: WRONG"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
