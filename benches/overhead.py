"""What a command of a walk costs beside its computation: chains of one op on a few numbers.

``python -m benches.overhead`` from the checkout. Each node of a chain is a launch of its own; the
time that another 100 of them add to a warm run is that of a command, of which next to nothing is
arithmetic. A fixed time for each run goes with it. Medians, one pinned thread.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benches.values import ONE_THREAD, running, timed
from emu.ir.types import Array
from emu.models.inputs import random_inputs
from emu.models.reader import read_model
from emu.pipeline import compile

FEW, MANY = 20, 120
RUNS = 400
ROW, IMAGE = (4, 4), (1, 4, 4, 4)
# The shape of what goes through a chain, a constant that each node reads too, and attributes.
Links = dict[str, tuple[tuple[int, ...], Array | None, dict[str, Any]]]
LINKS: Links = {
    "Sigmoid": (ROW, None, {}),
    "Add": (ROW, np.ones(ROW, np.float32), {}),
    "Softmax": (ROW, None, {}),
    "MatMul": (ROW, np.eye(4, dtype=np.float32), {}),
    "Transpose": (ROW, None, {"perm": [1, 0]}),
    "Conv": (IMAGE, np.full((4, 4, 1, 1), 0.25, np.float32), {}),
    "MaxPool": (IMAGE, None, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "Gather": (ROW, np.arange(4), {}),
    "CumSum": (ROW, np.array(0), {}),
    "Celu": (ROW, None, {}),
}


def chain(op: str, nodes: int) -> onnx.ModelProto:
    """A model of one op, so many times."""
    shape, constant, attrs = LINKS[op]
    constants = [] if constant is None else [numpy_helper.from_array(constant, "c")]
    reads = [c.name for c in constants]
    links = [
        helper.make_node(op, [f"v{i}", *reads], [f"v{i + 1}"], f"n{i}", **attrs)
        for i in range(nodes)
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name in ("v0", f"v{nodes}")
    ]
    graph = helper.make_graph(links, op, ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def seconds(op: str, nodes: int, folder: Path) -> float:
    """The median time of a warm run of a chain, each node of which must be a launch."""
    path = folder / "chain.onnx"
    path.write_bytes(chain(op, nodes).SerializeToString())
    made = compile(read_model(path), fusion="none", passes=["infer-types"])
    assert len(made.compiled.schedule.bindings) == nodes
    run = running(made, random_inputs(made.compiled.graph, 0))
    run()
    return median(timed(run) for _ in range(RUNS))


def row(op: str, folder: Path) -> float:
    """Print what a command and a run cost beside it, and return the first in microseconds."""
    few, many = (1e6 * seconds(op, nodes, folder) for nodes in (FEW, MANY))
    each = (many - few) / (MANY - FEW)
    print(f"| {op:<10} | {each:10.2f} | {few - FEW * each:10.1f} |", flush=True)
    return each


def main(names: Sequence[str]) -> int:
    """Print the table and its largest row; on one thread, which BLAS is told when it is loaded."""
    if any(os.environ.get(key) != value for key, value in ONE_THREAD.items()):
        os.execvpe(
            sys.executable,
            [sys.executable, "-m", "benches.overhead", *names],
            {**os.environ, **ONE_THREAD},
        )
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("| op         | us/command |    us/run |\n|---|---|---|")
    with TemporaryDirectory() as folder:
        found = {op: row(op, Path(folder)) for op in names or LINKS}
    most = max(found, key=lambda op: found[op])
    print(f"at most {found[most]:.2f} us per command, of {most}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
