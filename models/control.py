"""If, Loop and Scan: their graphs are read in place, the one that is taken, or trip after trip.

The host decides which branch is taken and whether there is another trip. What it decides by has to
be known: a constant, or what a value was in the run that is imported (``Importer.known``).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.types import NUMPY
from emu.models.rules.site import Site
from emu.models.scope import GRAPH, inner_scope
from emu.models.tensors import dtype_of, inline

if TYPE_CHECKING:
    import onnx

    from emu.models.importer import Importer

Reader = Callable[[Any, Site, "onnx.NodeProto"], None]  # of an Importer, which reads this module
BATCHED_SCAN = 8  # the one opset whose Scan has a dimension of batches


def choose(build: "Importer", site: Site, node: "onnx.NodeProto") -> None:
    """If: the nodes of the branch that is taken."""
    taken = bool(build.known(site, site.inputs[0], "the condition").any())
    branch = _graph(site, node, "then_branch" if taken else "else_branch")
    if len(branch.output) != len(node.output):
        raise ModelError(f"{site.where}: its branch has {len(branch.output)} outputs")
    made = _read(build, site, branch, f"{site.id}/", {})
    for value, output in zip(made, node.output, strict=True):
        build.alias(site, value, output)


def loop(build: "Importer", site: Site, node: "onnx.NodeProto") -> None:
    """Loop: while the condition holds, and as often as the number of trips says at most."""
    body = _graph(site, node, "body")
    most = build.known(site, site.inputs[0], "the number of trips") if site.has(0) else None
    going = not site.has(1) or bool(build.known(site, site.inputs[1], "the condition").any())
    carried = list(site.inputs[2:])
    if len(body.input) != 2 + len(carried) or len(body.output) < 1 + len(carried):
        raise ModelError(f"{site.where}: its body does not carry {len(carried)} values")
    rows: list[list[str]] = []
    while going and (most is None or len(rows) < int(most.reshape(()))):
        made = _trip(build, site, body, len(rows), carried)
        carried = made[1 : 1 + len(carried)]
        rows.append(made[1 + len(carried) :])
        last = most is not None and len(rows) == int(most.reshape(()))
        going = last or bool(build.known(site, made[0], "the condition").any())
    for value, output in zip(carried, node.output, strict=False):
        build.alias(site, value, output)
    kept = body.output[1 + len(carried) :]
    for i, output in enumerate(node.output[len(carried) :]):
        _stack(build, site, [row[i] for row in rows], kept[i], output)


def _trip(
    build: "Importer", site: Site, body: "onnx.GraphProto", trip: int, carried: Sequence[str]
) -> list[str]:
    """One trip of a Loop; returns the condition of the next, what is carried on, and what stays."""
    prefix = f"{site.id}@{trip}/"
    number, condition = (prefix + body.input[i].name for i in range(2))
    build.define(number, inline(np.array(trip, np.int64)))
    build.define(condition, inline(np.array(True)))
    given = zip(body.input, (number, condition, *carried), strict=True)
    return _read(build, site, body, prefix, {i.name: value for i, value in given})


def scan(build: "Importer", site: Site, node: "onnx.NodeProto") -> None:
    """Scan: one trip for each element along an axis of the inputs that are scanned."""
    if site.opset == BATCHED_SCAN:
        return _batches(build, site, node)
    for value, output in zip(_scanned(build, site, node, site.inputs), node.output, strict=False):
        build.alias(site, value, output)


def _batches(build: "Importer", site: Site, node: "onnx.NodeProto") -> None:
    """Opset 8: the first dimension of everything is a batch, and each is scanned by itself."""
    if site.has(0):
        raise site.refuse("lengths of sequences are not supported")
    inputs = site.inputs[1:]
    made: list[list[str]] = []
    for batch in range(site.types[inputs[0]].dims[0] if inputs else 0):
        mine = [_element(build, site, value, 0, batch) for value in inputs]
        made.append(_scanned(build, site, node, mine, f"@{batch}"))
    body = _graph(site, node, "body")
    for i, output in enumerate(node.output):
        _stack(build, site, [values[i] for values in made], body.output[i], output)


def _scanned(
    build: "Importer", site: Site, node: "onnx.NodeProto", inputs: Sequence[str], batch: str = ""
) -> list[str]:
    """The last states of a Scan over ``inputs``, then what its trips left, stacked."""
    body, count = _graph(site, node, "body"), site.integer("num_scan_inputs", 0)
    states, over = list(inputs[: len(inputs) - count]), inputs[len(inputs) - count :]
    if not over or len(body.input) != len(inputs) or len(body.output) < len(states):
        raise ModelError(f"{site.where}: its body does not take {len(inputs)} inputs")
    axes = _axes(site, "scan_input_axes", over)
    lengths = {site.types[v].dims[a] for v, a in zip(over, axes, strict=True)}
    if len(lengths) != 1:
        raise ModelError(f"{site.where}: scans {sorted(lengths)} elements at once")
    back = site.list("scan_input_directions", site.list("directions", (0,) * count))
    rows: list[list[str]] = []
    for trip in range(length := lengths.pop()):
        places = [length - 1 - trip if b else trip for b in back]
        parts = zip(over, axes, places, strict=True)
        mine = [*states, *(_element(build, site, v, a, p) for v, a, p in parts)]
        names = {i.name: value for i, value in zip(body.input, mine, strict=True)}
        made = _read(build, site, body, f"{site.id}{batch}@{trip}/", names)
        states, row = made[: len(states)], made[len(states) :]
        rows.append(row)
    return [*states, *_left(build, site, body, rows, len(states), batch)]


def _left(
    build: "Importer",
    site: Site,
    body: "onnx.GraphProto",
    rows: Sequence[Sequence[str]],
    states: int,
    batch: str,
) -> list[str]:
    """What the trips of a Scan left, stacked along the axes that it asks for."""
    kept = body.output[states:]
    axes = site.list("scan_output_axes", (0,) * len(kept))
    back = site.list("scan_output_directions", (0,) * len(kept))
    made: list[str] = []
    for i, value in enumerate(kept):
        column = [row[i] for row in rows]
        made.append(f"{site.id}{batch}/{value.name}")
        turned = column[::-1] if back[i] else column
        _stack(build, site, turned, value, made[-1], axes[i])
    return made


def _axes(site: Site, name: str, values: Sequence[str]) -> tuple[int, ...]:
    axes = site.list(name, (0,) * len(values))
    pairs = zip(axes, values, strict=True)
    return tuple(site.axis(axis, len(site.types[v].shape)) for axis, v in pairs)


def _element(build: "Importer", site: Site, value: str, axis: int, place: int) -> str:
    """Element ``place`` of a value along an axis, without that axis."""
    bounds = {"starts": (place,), "ends": (place + 1,), "axes": (axis,), "steps": (1,)}
    return build.write(
        site, "Squeeze", (build.write(site, "Slice", (value,), bounds),), {"axes": (axis,)}
    )


def _stack(
    build: "Importer",
    site: Site,
    values: Sequence[str],
    declared: "onnx.ValueInfoProto",
    output: str,
    axis: int = 0,
) -> None:
    """Values of all trips along a new axis; without any trip there is nothing, of the same type."""
    if not output:
        return
    if not values:
        return build.define(output, inline(np.zeros(*_nothing(site, declared))))
    place = site.axis(axis, len(site.types[values[0]].shape) + 1)
    rows = tuple(build.write(site, "Unsqueeze", (v,), {"axes": (place,)}) for v in values)
    build.alias(site, build.write(site, "Concat", rows, {"axis": place}), output)


def _nothing(site: Site, declared: "onnx.ValueInfoProto") -> tuple[tuple[int, ...], "np.dtype"]:
    tensor = declared.type.tensor_type
    dtype = NUMPY[dtype_of(tensor.elem_type, site.where)]
    return (0, *(dim.dim_value for dim in tensor.shape.dim)), dtype


def _read(
    build: "Importer", site: Site, graph: "onnx.GraphProto", prefix: str, names: Mapping[str, str]
) -> list[str]:
    """Read a graph in a scope of its own, and return the values of its outputs."""
    if prefix != f"{site.id}/":
        build.count_trip(site)
    scope = inner_scope(graph, build.scope, f"{site.id}/", prefix, names)
    with build.inside(scope, site.where):
        build.read(graph)
    for value in graph.output:
        if scope.find(value.name) not in build.types:
            raise ModelError(f"{site.where}: output '{value.name}' of its graph is defined nowhere")
    return [scope.find(value.name) for value in graph.output]


def _graph(site: Site, node: "onnx.NodeProto", name: str) -> "onnx.GraphProto":
    found = next((a.g for a in node.attribute if a.name == name and a.type == GRAPH), None)
    if found is None:
        raise ModelError(f"{site.where}: has no graph '{name}'")
    return found


READERS: Mapping[str, Reader] = MappingProxyType({"If": choose, "Loop": loop, "Scan": scan})
