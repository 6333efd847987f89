"""How reading, compiling and pricing grow with a graph: 1,000, 10,000 and 100,000 nodes.

``python benches/scale.py [NODES ...]``; the graph has 50 distinct shapes and is fused vertically
by post-dominators. Each size is a process of its own, so that peak memory is that of one.
"""

import gc
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import onnx
from onnx import helper, numpy_helper

from emu.dump import Watch
from emu.models.limits import LIMITS, limits_with
from emu.pipeline import compile

SIZES = (1_000, 10_000, 100_000)
SHAPES = 50
BLOCK = 5  # nodes of one block: MatMul, Add, Relu, Mul, Add
WIDTH = 16


def large(nodes: int) -> onnx.ModelProto:
    """A graph of blocks in 50 parallel chains, each with rows of its own, joined by nothing."""
    made: list[onnx.NodeProto] = []
    weights = [
        numpy_helper.from_array(np.full((WIDTH, WIDTH), 0.01, np.float32), "w"),
        numpy_helper.from_array(np.full(WIDTH, 0.5, np.float32), "b"),
    ]
    ends = {f"x{i}": i + 1 for i in range(SHAPES)}
    heads = list(ends)
    for n in range(nodes // BLOCK):
        chain = n % SHAPES
        x = heads[chain]
        for op, other in (("MatMul", "w"), ("Add", "b"), ("Relu", ""), ("Mul", "b"), ("Add", x)):
            last = made[-1].output[0] if made and other != "w" else x
            inputs = [v for v in (last, other) if v]
            made.append(helper.make_node(op, inputs, [f"v{len(made)}"], f"n{len(made)}"))
        heads[chain] = made[-1].output[0]

    def value(name: str, rows: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (rows, WIDTH))

    ins = [value(name, rows) for name, rows in ends.items()]
    outs = [value(head, i + 1) for i, head in enumerate(heads) if not head.startswith("x")]
    graph = helper.make_graph(made, "large", ins, outs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def measure(path: Path) -> None:
    """Compile and price one file, and print seconds, MB and the stages."""
    gc.disable()  # as `emu` does
    watch, start = Watch(), perf_counter()
    limits = limits_with({"messages": 10 * LIMITS.messages, "nodes": 10 * LIMITS.nodes})
    executable = compile(
        path, fusion="vertical", decider="post-dominator", watch=watch, limits=limits
    )
    executable.run(values=False)
    seconds, busy = perf_counter() - start, process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    nodes = len(executable.compiled.graph.nodes)
    stages: dict[str, float] = {}
    for name, took in watch.timings:
        stages[name] = stages.get(name, 0.0) + took
    told = ", ".join(f"{name} {took:.2f}" for name, took in stages.items() if took > 0.01)
    print(f"{nodes:>9,} nodes {seconds:>7.2f} s, {busy:>7.2f} s busy {peak:>7,.0f} MB   {told}")


def main(arguments: list[str]) -> None:
    """Measure every size in a process of its own."""
    if arguments and arguments[0].endswith(".onnx"):
        return measure(Path(arguments[0]))
    with TemporaryDirectory() as folder:
        for size in map(int, arguments) if arguments else SIZES:
            path = Path(folder) / f"{size}.onnx"
            path.write_bytes(large(size).SerializeToString())
            subprocess.run([sys.executable, __file__, str(path)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
