"""How long values take, beside onnxruntime: the zoo and the corpus on one pinned thread.

``python -m benches.values [NAME ...]`` from the checkout. For each model a process of its own
compiles it (gpu, vertical, deep, fp32), then runs emu and onnxruntime in turn: medians of warm
runs, the ratio is the median of the pairs. Two more processes measure the peak of memory of each
side above what its imports take.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from math import exp, log
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from emu.ir.program import HostCall, Launch
from emu.ir.types import Array
from emu.models.export import export
from emu.models.inputs import random_inputs
from emu.models.limits import UNLIMITED
from emu.models.model import Model
from emu.models.reader import read_model
from emu.models.zoo import BUILDERS, build
from emu.pipeline import Executable, compile
from tests.corpus.cases import dims_of_file, paths

LARGEST_PARAMETERS_BYTES = 600 << 20  # bert_large takes minutes and shows nothing of its own
SECONDS, FEWEST, MOST = 3.0, 7, 200
SHORT_S = 1e-3  # below it, what counts is the overhead of a command
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ModelFile = tuple[Model, Path, dict[str, int]]


def opened(name: str, folder: Path) -> ModelFile:
    """A zoo model, exported to a file for onnxruntime, or a file of the corpus."""
    files = {path.stem: path for path in paths()}
    if name in files:
        path = files[name]
        return read_model(path, UNLIMITED), path, dims_of_file(path)
    model, path = build(name, {}), folder / "model.onnx"
    export(model, path)
    return model, path, {}


def session(path: Path) -> Callable[[Mapping[str, Array]], Any]:
    """A run of onnxruntime with its defaults, but for the number of threads."""
    import onnxruntime

    ort: Any = onnxruntime
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: made.run(None, dict(inputs))


def timed(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def times(name: str) -> dict[str, float]:
    """Medians of both sides and of their ratio, in seconds, and emu's first run."""
    with TemporaryDirectory() as folder:
        model, path, dims = opened(name, Path(folder))
        made = compile(model, dims=dims)
        inputs = random_inputs(made.compiled.graph, 0)
        ours, theirs = running(made, inputs), session(path)
        first = timed(ours)
        theirs(inputs)
        pairs: list[tuple[float, float]] = []
        start = perf_counter()
        while len(pairs) < FEWEST or (perf_counter() - start < SECONDS and len(pairs) < MOST):
            pairs.append((timed(ours), timed(lambda: theirs(inputs))))
    return {
        "emu": median(a for a, _ in pairs),
        "ort": median(b for _, b in pairs),
        "ratio": median(a / b for a, b in pairs),
        "first": first,
        "commands": sum(isinstance(c, Launch | HostCall) for c in made.compiled.program.commands),
    }


def running(made: Executable, inputs: Mapping[str, Array]) -> Callable[[], object]:
    return lambda: made.run(inputs, check=False)


def peak(side: str, name: str) -> dict[str, float]:
    """The most memory of one side, from reading the file to a second run, in bytes."""
    with TemporaryDirectory() as folder:
        _, path, dims = opened(name, Path(folder))
        inputs = random_inputs(compile(path, dims=dims, limits=UNLIMITED).compiled.graph, 0)
        code = f"from benches.values import peak_of; peak_of({side!r}, {str(path)!r}, {dims!r})"
        given = Path(folder) / "inputs.npz"
        import numpy as np

        arrays: Any = dict(inputs)
        np.savez(given, **arrays)
        said = subprocess.run(
            [sys.executable, "-c", code, str(given)], check=True, capture_output=True, text=True
        )
    return {"peak": float(said.stdout.split()[-1])}


def peak_of(side: str, path: str, dims: dict[str, int]) -> None:
    """Print how far memory grows while one side reads a file and runs it twice, in bytes."""
    import numpy as np

    with np.load(sys.argv[1]) as stored:
        inputs = dict(stored)
    import_module("onnxruntime")  # both sides start with the same imports
    warm_imports()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory("VmRSS")
    if side == "emu":
        run = running(compile(path, dims=dims, limits=UNLIMITED), inputs)
    else:
        made = session(Path(path))
        run = partial(made, inputs)
    run()
    run()
    print(memory("VmHWM") - before)


def warm_imports() -> None:
    """Import what only a run imports, by running the smallest model."""
    compile("diamond").run(check=False)


def memory(field: str) -> int:
    """A field of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def asked(*arguments: str) -> dict[str, float]:
    """Run this module in a process of its own, pinned to one core, and read its figures."""
    core = sorted(os.sched_getaffinity(0))[-1]
    command = [sys.executable, "-m", "benches.values", *arguments]
    environment = {**os.environ, **ONE_THREAD, "BENCH_CORE": str(core)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str) -> dict[str, float]:
    """Print and return the figures of one model."""
    found = asked("--times", name)
    mine, other = asked("--peak", "emu", name)["peak"], asked("--peak", "ort", name)["peak"]
    found |= {"emu_peak": mine, "ort_peak": other}
    overhead = (found["emu"] - found["ort"]) / max(found["commands"], 1)
    print(
        f"| {name:<22} | {1e3 * found['ort']:8.2f} | {1e3 * found['emu']:8.2f} "
        f"| {found['ratio']:6.2f} | {found['commands']:8.0f} | {1e6 * overhead:8.1f} "
        f"| {found['first']:7.2f} | {other / 2**20:7.1f} | {mine / 2**20:7.1f} |",
        flush=True,
    )
    return found


COLUMNS = ("ort ms", "emu ms", "ratio", "commands", "us/cmd", "first s", "ort MiB", "emu MiB")
HEAD = "| model | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (1 + len(COLUMNS))


def main(arguments: list[str]) -> int:
    """Print the table, and the geometric mean of the ratios of models that take long enough."""
    match arguments:
        case ["--times", name]:
            os.sched_setaffinity(0, {int(os.environ["BENCH_CORE"])})
            print(json.dumps(times(name)))
            return 0
        case ["--peak", side, name]:
            print(json.dumps(peak(side, name)))
            return 0
        case names:
            pass
    print(HEAD, flush=True)
    everything = (*(n for n in BUILDERS if n != "bert_large"), *(p.stem for p in paths()))
    rows = [row(name) for name in names or everything]
    long = [r["ratio"] for r in rows if r["ort"] >= SHORT_S]
    if long:
        mean = exp(sum(map(log, long)) / len(long))
        print(f"{len(long)} models of 1 ms and more: mean {mean:.2f}x, worst {max(long):.2f}x")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
