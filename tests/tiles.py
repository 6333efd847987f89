"""Bodies to tile, what they mean, and the check that a tile program does and counts the same."""

from collections.abc import Mapping
from math import prod
from types import MappingProxyType

import numpy as np
from hypothesis import strategies as st

from emu.ir.body import ABSENT, Body, body_of
from emu.ir.count import count, frames
from emu.ir.graph import Attr, Constant, Graph, Node
from emu.ir.interpret import run_node
from emu.ir.machine import Residency
from emu.ir.ops import OPS, Work
from emu.ir.regions import (
    footprint_bytes,
    largest,
    moved_slice,
    region,
    room_bytes,
    shape,
)
from emu.ir.run_tiles import Moved, program_outputs, run_tiles, view_arrays
from emu.ir.tile import TileProgram
from emu.ir.types import NAMES, NUMPY, REALS, Array, TensorType
from emu.kernels.tiling import Tiling

TOLERANCE = 1e-5  # of the largest output
# Sums in another order may round to the neighbour: one step of the element type, where it is wide.
STEPS = {"f16": 2**-10, "bf16": 2**-7, "f8E4M3FN": 2**-3}


class Sketch:
    """A body under construction: ``x = s.input(2, 3); s.op("Relu", x); s.body()``."""

    def __init__(self) -> None:
        self.types: dict[str, TensorType] = {}
        self.inputs: list[str] = []
        self.weights: dict[str, Constant] = {}
        self.nodes: list[Node] = []

    def input(self, *dims: int, dtype: str = "f32") -> str:
        name = f"x{len(self.types)}"
        self.types[name] = TensorType(dtype, dims)
        self.inputs.append(name)
        return name

    def weight(self, *dims: int, dtype: str = "f32") -> str:
        name = self.input(*dims, dtype=dtype)
        self.inputs.remove(name)
        type = self.types[name]
        self.weights[name] = Constant(type, name, lambda: np.zeros(dims, NUMPY[dtype]))
        return name

    def op(self, op: str, *ins: str, **attrs: Attr) -> str:
        return self.ops(op, *ins, **attrs)[0]

    def ops(self, op: str, *ins: str, **attrs: Attr) -> tuple[str, ...]:
        types = OPS[op].infer([self.types[i] if i else None for i in ins], attrs)
        names = tuple(f"v{len(self.types) + i}" for i in range(len(types)))
        self.types.update(zip(names, types, strict=True))
        id = f"n{len(self.nodes)}"
        self.nodes.append(Node(id, op, ins, names, MappingProxyType(attrs), (id,)))
        return names

    def body(self, *outputs: str) -> Body:
        """The body; its outputs are those of the last node if none are named."""
        graph = Graph(
            name="sketch",
            inputs=tuple(self.inputs),
            outputs=outputs or self.nodes[-1].outputs,
            nodes=tuple(self.nodes),
            types=self.types,
            constants=self.weights,
        )
        return body_of(graph.verify(), graph.nodes).body


def random_array(type: TensorType, rng: np.random.Generator) -> Array:
    """Numbers of order one above 0.1, so that divisors and variances are sound; small indices."""
    if type.dtype == "i1":
        return rng.random(type.dims) < 0.5
    if type.dtype.startswith("i"):
        return rng.integers(-3, 3, type.dims).astype(NUMPY[type.dtype])
    return (rng.random(type.dims) * 2 + 0.1).astype(NUMPY[type.dtype])


def random_inputs(body: Body, seed: int = 0) -> dict[int, Array]:
    """An array for each input of a body."""
    rng = np.random.default_rng(seed)
    return {v: random_array(body.types[v], rng) for v in range(body.inputs)}


def meaning_of(body: Body, inputs: Mapping[int, Array]) -> dict[int, Array]:
    """Every value of a body, by the op table, node by node."""
    values: dict[int, Array] = dict(inputs)
    for node in body.nodes:
        ins = [None if v == ABSENT else values[v] for v in node.ins]
        where = Node("n", node.op, (), (), dict(node.attrs))
        values.update(zip(node.outs, run_node(where, ins), strict=True))
    return values


def check_program(body: Body, program: TileProgram, block: Mapping[int, int] | None = None) -> None:
    """The program means what the body means, and moves and computes exactly what is counted."""
    inputs, moved = random_inputs(body), Moved()
    residency = Residency(block or {})
    arrays = view_arrays(program, inputs)
    stored = run_tiles(program, arrays, moved=moved, residency=residency)
    outputs = program_outputs(program, body, stored)
    assert outputs.keys() == set(body.outputs)
    check_values(body, outputs, inputs)
    check_counts(program, moved, residency)
    check_footprint(program)


def check_values(body: Body, outputs: Mapping[int, Array], inputs: Mapping[int, Array]) -> None:
    wanted = meaning_of(body, inputs)
    for value, array in outputs.items():
        want = wanted[value]
        assert (array.shape, array.dtype) == (want.shape, want.dtype)
        dtype = NAMES[array.dtype]
        if dtype not in REALS:
            np.testing.assert_array_equal(array, want)
            continue
        found, real = array.astype(np.float64), want.astype(np.float64)
        limit = (TOLERANCE + STEPS.get(dtype, 0)) * float(np.abs(real).max())
        np.testing.assert_allclose(found, real, rtol=0, atol=limit, err_msg=f"value {value}")


def check_counts(program: TileProgram, moved: Moved, residency: Residency) -> None:
    counts = count(program, tuple(residency.block.items()))
    assert counts.loaded == moved.loaded
    assert counts.stored == moved.stored
    assert counts.fetched == moved.fetched
    assert counts.touched == moved.touched
    assert sum(counts.work, Work()) == counts.total_work == moved.work
    for view, size in counts.unique.items():
        assert counts.unique[view] <= counts.loaded[view]
        assert size <= counts.fetched[view]


def check_footprint(program: TileProgram) -> None:
    """No buffer ever holds more than the room that is reserved for it."""
    for buffer in program.buffers:
        chain = dict.fromkeys(n for a in buffer.axes for n in reversed([*program.lineage(a.of)]))
        room = prod(largest(program, buffer))
        each = [frame for frame, _ in frames(program, tuple(chain))]
        assert max(prod(shape(region(program, buffer, frame))) for frame in each) <= room
        view = program.views[buffer.value]
        if view.role != "local":
            moved = max(moved_slice(program, buffer, frame) for frame in each)
            assert moved * view.type.itemsize <= room_bytes(program, buffer)
    assert footprint_bytes(program) > 0


def tilings(body: Body) -> st.SearchStrategy[Tiling]:
    """Any way to cut the last output of a body."""
    dims = body.types[body.nodes[-1].out].dims
    return st.builds(
        Tiling,
        tile=st.tuples(*(st.integers(1, d) for d in dims)),
        k=st.sampled_from((0, 1, 3, 4, 100)),
        order=st.permutations(range(len(dims))).map(tuple),
        cores=st.sampled_from((0, 1, 3, 16)),
        depth=st.sampled_from((1, 2)),
    )


def blocks(program: TileProgram) -> st.SearchStrategy[dict[int, int]]:
    """Any block of neighbouring iterations of some of the parallel loops."""
    loops = [i for i, loop in enumerate(program.loops) if loop.parallel]
    widths = st.sampled_from((1, 2, 5))
    return st.dictionaries(st.sampled_from(loops), widths) if loops else st.just({})
