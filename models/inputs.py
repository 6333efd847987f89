"""Input values: random ones that any model accepts, and checks of what a user brings."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from hashlib import blake2b

import numpy as np

from emu.ir.errors import BadValues, OtherTypes
from emu.ir.graph import Graph, Node
from emu.ir.held import value_type
from emu.ir.ops.attributes import integer
from emu.ir.types import HELD, NUMPY, REALS, Array, TensorType

INDICES = ("i64", "i32")
DEFAULT_BOUND = 10  # integers are 0 to 9 where nothing says how many there are

# Ops whose second input are places along ``axis`` of the first.
ALONG_AXIS = ("Gather", "GatherElements", "ScatterElements")
# Ops of which an index is not one number of the input but a sum: these count, and truths can.
SUMS = ("CumSum", "ReduceSum")
TRUTHS = 2
# Ops whose second input are places in the dimensions of the first after ``batch_dims``.
IN_SLICES = ("GatherND", "ScatterND")


def random_inputs(graph: Graph, seed: int) -> dict[str, Array]:
    """Return a value for every input: standard normal, or integers that stay in range as indices.

    Each input has a seed of its own, from ``seed`` and its name.
    """
    return {name: _random(graph, name, seed) for name in graph.inputs}


def _random(graph: Graph, name: str, seed: int) -> Array:
    type = graph.types[name]
    digest = blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    random = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
    if type.dtype == "i1":
        return random.integers(0, 2, type.dims).astype(np.bool_)
    if type.dtype in REALS:
        return random.standard_normal(type.dims).astype(NUMPY[type.dtype])
    bound = min(index_bound(graph, name), np.iinfo(NUMPY[type.dtype].name).max)
    return random.integers(0, bound, type.dims).astype(NUMPY[type.dtype])


def index_bound(graph: Graph, name: str) -> int:
    """Return how many rows the smallest table has that ``name`` is an index of, 10 if none.

    What is summed before it is an index (a mask, of which the places follow) is 0 or 1.
    """
    return min(_tables(graph, name), default=DEFAULT_BOUND)


def _tables(graph: Graph, name: str) -> Iterator[int]:
    """The rows of every table that ``name``, or an integer made of it, is an index of."""
    seen, ahead = {(name, False)}, [(name, False)]
    while ahead:
        value, summed = ahead.pop()
        for node in graph.readers.get(value, ()):
            if len(node.inputs) > 1 and node.inputs[1] == value:
                rows = _rows(graph, node)
                yield from (TRUTHS for _ in rows) if summed else rows
            indices = (v for v in node.outputs if graph.types[v].dtype in INDICES)
            made = {(v, summed or node.op in SUMS) for v in indices} - seen
            seen |= made
            ahead += sorted(made)


def _rows(graph: Graph, node: Node) -> tuple[int, ...]:
    dims = graph.types[node.inputs[0]].dims
    if node.op in ALONG_AXIS:
        axis = integer(node.attrs, "axis", 0)
        return (dims[axis],)
    if node.op in IN_SLICES:
        first = integer(node.attrs, "batch_dims", 0)
        return dims[first : first + graph.types[node.inputs[1]].dims[-1]]
    places = graph.constants.get(node.inputs[0])
    if node.op == "Less" and places and places.inline is not None and places.inline.size:
        return (int(places.inline.max()) + 1,)  # lengths, which end at one of the places
    return ()


def check_inputs(graph: Graph, arrays: Mapping[str, Array]) -> None:
    """Raise BadValues unless ``arrays`` has every input, no other, each of its shape and dtype."""
    for name in arrays:
        if name not in graph.inputs:
            raise BadValues(f"{graph.name} has no input '{name}'; {_hint(name, graph.inputs)}")
    for name in graph.inputs:
        if name not in arrays:
            raise BadValues(f"input '{name}' of {graph.name} has no value ({graph.types[name]})")
        _check_array(name, arrays[name], graph.types[name])


def _hint(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"


def _check_array(name: str, array: Array, type: TensorType) -> None:
    if type.dtype in HELD:
        if (given := value_type(array)) != type:
            raise OtherTypes(f"input '{name}' is {given}, not {type} as when it was compiled")
        return
    if array.dtype != NUMPY[type.dtype]:
        raise BadValues(
            f"input '{name}' must be {type.dtype} ({NUMPY[type.dtype]}), not {array.dtype}"
        )
    if array.shape != type.dims:
        raise BadValues(f"input '{name}' must have the shape {type.dims}, not {array.shape}")
