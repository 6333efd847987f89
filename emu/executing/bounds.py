"""What a run of a stranger's model may take at most, known before it takes anything."""

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from emu.ir.errors import BadValues, ModelError, OverLimit
from emu.ir.graph import Graph, Node
from emu.ir.ops import find_op
from emu.ir.place import noting
from emu.models.limits import Limits
from emu.models.reader import UNFORESEEN

COMMANDS = ("launch of", "host call of")  # how the places begin that a program is executed at


def check_run(graph: Graph, limits: Limits) -> None:
    """Raise OverLimit, with the node named, if the values of a graph take too much to compute.

    That is a node of more operations than are allowed, or all of them together; and more bytes in
    the inputs and outputs of one node, or in those of the graph, than the process may have.
    """
    for what, values in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        size = sum(graph.types[value].bytes for value in values)
        limits.check("memory_bytes", size, f"{graph.name}: {what} {', '.join(values)}", "bytes")
    done = 0
    for node in graph.nodes:
        done += (work := _operations(graph, node))
        if done > limits.operations:
            share = f"{work:,} operations, {done:,} with those before it"
            raise _over(node, share, "operations", limits.operations)
        if (size := _bytes(graph, node)) > limits.memory_bytes:
            raise _over(node, f"{size:,} bytes at once", "memory_bytes", limits.memory_bytes)


def _over(node: Node, needs: str, key: str, most: int) -> OverLimit:
    advice = f"the limit is {most:,} (--limits {key}=N, or --no-values)"
    return OverLimit(f"node '{node.id}' ({node.op}): takes {needs}; {advice}")


def _operations(graph: Graph, node: Node) -> int:
    ins = [graph.types[v] if v else None for v in node.inputs]
    work = find_op(node.op, node.id).work(ins, [graph.types[v] for v in node.outputs], node.attrs)
    return int(work.flops + work.transcendentals)


def _bytes(graph: Graph, node: Node) -> int:
    return sum(graph.types[value].bytes for value in {*node.inputs, *node.outputs} if value)


@contextmanager
def computing(origin: str) -> Generator[None, None, None]:
    """Raise ModelError, with the place, for numbers that numpy will not compute with.

    Indices out of range and negative powers of integers are known only when values are.
    """
    places: deque[str] = deque(("start",), maxlen=1)
    with noting(places.append):
        try:
            yield
        except BadValues as error:
            where = f"{places[0]}: " if places[0].startswith(COMMANDS) else ""
            raise type(error)(f"{where}{error}") from error
        except UNFORESEEN as error:
            why = f"cannot be computed: {type(error).__name__}: {error}"
            raise ModelError(f"{origin}: {places[0]}: {why}") from error
