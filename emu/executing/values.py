"""Values of a run, and their comparison with the oracle."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import NamedTuple, TypeGuard, cast

import numpy as np

from emu.devices.device import Device
from emu.executing.execute import execute
from emu.executing.reference import onnx_outputs, onnxruntime_outputs
from emu.executing.walk import Walk
from emu.ir.errors import BadOption, NoOracle
from emu.ir.graph import Graph
from emu.ir.held import canonical
from emu.ir.passes.lower_precision import SCALE_AT
from emu.ir.place import at
from emu.ir.precision import DTYPES
from emu.ir.types import REALS, Array
from emu.models.inputs import check_inputs, random_inputs
from emu.run import Check, Compiled, Run

CLOSE = DTYPES["fp32"].tolerance  # as sums in another order are
EXECUTORS = ("fast", "tiles")
MOST_THREADS = 256


def compute(
    compiled: Compiled,
    chip: Device,
    walk: Callable[[int], Walk],
    inputs: Mapping[str, Array] | None,
    seed: int,
    check: bool,
    executor: str,
    threads: int,
) -> Run:
    """Execute the loaded program; raises BadValues for inputs that the model does not take.

    The executor is that of ``walk``, "fast", which takes so many threads, or the literal one,
    "tiles", which takes one.
    """
    if executor not in EXECUTORS:
        raise BadOption(f"--executor {executor}: there are {' and '.join(EXECUTORS)}")
    check_threads(threads, executor)
    graph = compiled.graph
    if inputs is None:
        inputs = random_inputs(graph, seed)
    else:
        check_inputs(graph, inputs)
    if executor == "fast":
        outputs = walk(threads).run(inputs)
    else:
        state = execute(compiled.program, compiled.lowered, inputs, chip.residency)
        outputs = {name: state.read(name) for name in graph.outputs}
    return Run(compiled, inputs, outputs, checked(compiled, inputs, outputs) if check else None)


def check_threads(threads: int, executor: str) -> None:
    """Raise BadOption unless the executor takes so many threads."""
    if not 1 <= threads <= MOST_THREADS:
        raise BadOption(f"--threads {threads}: from 1 to {MOST_THREADS}")
    if threads > 1 and executor == "tiles":
        raise BadOption(f"--threads {threads}: the executor 'tiles' takes one tile after the other")


def checked(compiled: Compiled, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Check:
    """Compare outputs with what onnxruntime computes for the model as it was given.

    Where it has no code for an op in an element type, such as bf16, onnx's own reference does.
    """
    at("check by onnxruntime")
    tolerance = tolerance_of(compiled)
    try:
        return compare(outputs, onnxruntime_outputs(compiled.model, inputs), tolerance)
    except NoOracle:
        at("check by onnx.reference")
        found = onnx_outputs(compiled.model, inputs)
        return replace(compare(outputs, found, tolerance), reference="onnx.reference")


def tolerance_of(compiled: Compiled) -> float:
    """The error that is allowed for a compiled model, in the dtype that it is compiled to."""
    return allowed_error(compiled.stack.compiler.dtype, compiled.graph)


def allowed_error(dtype: str, graph: Graph) -> float:
    """The error that is allowed: that of the dtype, or of the roughest that the model computes in.

    For a model that is quantised it is that of int8.
    """
    names = {dtype}
    if any(node.op in SCALE_AT for node in graph.nodes):
        names.add("int8")
    made = {type.dtype for type in graph.types.values()}
    names |= {name for name, kind in DTYPES.items() if kind.factors in made & set(REALS)}
    return max(DTYPES[name].tolerance for name in names)


def compare(
    outputs: Mapping[str, Array],
    reference: Mapping[str, Array],
    tolerance: float = DTYPES["fp32"].tolerance,
) -> Check:
    """Compare outputs with those that onnxruntime computed from the same inputs."""
    parts = [p for name in outputs for p in _parts(name, outputs[name], canonical(reference[name]))]
    errors = [_of_values(ours, theirs) for _, ours, theirs in parts]
    worst_abs = max((e.absolute for e in errors), default=0.0)
    worst_rel = max((e.relative for e in errors), default=0.0)
    unlike = [said for part in parts if (said := _unlike(*part))]
    apart, numbers = sum(e.apart for e in errors), sum(e.numbers for e in errors)
    said = unlike[0] if unlike else ""
    return Check("onnxruntime", worst_abs, worst_rel, tolerance, said, apart, numbers)


def _parts(name: str, ours: object, theirs: object) -> Iterator[tuple[str, object, object]]:
    """What of an output is compared: part by part where both sides have as many, else the whole."""
    if _is_map(ours) and _is_map(theirs) and ours.keys() == theirs.keys():
        for key, value in ours.items():
            yield from _parts(f"{name}[{key!r}]", canonical(value), canonical(theirs[key]))
        return
    if not (_is_list(ours) and _is_list(theirs) and len(ours) == len(theirs)):
        yield name, ours, theirs
        return
    for i, pair in enumerate(zip(ours, theirs, strict=True)):
        yield from _parts(f"{name}[{i}]", *pair)


def _unlike(name: str, ours: object, theirs: object) -> str:
    """Both shapes where they differ, or both numbers of parts; nothing where they agree."""
    if _is_list(ours) and _is_list(theirs):
        return f"{name} has {len(ours)} parts, not {len(theirs)}"
    if not (_is_array(ours) and _is_array(theirs)):
        return ""
    mine, other = list(ours.shape), list(theirs.shape)
    return f"{name} has shape {mine}, not {other}" if mine != other else ""


class _Errors(NamedTuple):
    """The largest errors of a part, and how many of its numbers are ``apart``: beyond CLOSE."""

    absolute: float
    relative: float
    apart: int
    numbers: int


def _of_values(ours: object, theirs: object) -> _Errors:
    """The largest errors of a part; text, other keys and what is absent agree or do not at all."""
    if _is_plain(ours) and _is_plain(theirs):
        return _errors(ours, theirs)
    return _Errors(0.0, 0.0, 0, 1) if _equal(ours, theirs) else _Errors(inf, inf, 1, 1)


def _equal(ours: object, theirs: object) -> bool:
    return type(ours) is type(theirs) and np.array_equal(cast(Array, ours), cast(Array, theirs))


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_map(value: object) -> TypeGuard[dict[object, object]]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[Array]:
    return isinstance(value, np.ndarray)


def _is_plain(value: object) -> TypeGuard[Array]:
    return _is_array(value) and value.dtype.kind != "O"


def _errors(ours: Array, theirs: Array) -> _Errors:
    """The largest absolute error, and the same relative to the largest finite value.

    Infinities and NaN have no error where both sides have the same one, and an infinite one
    elsewhere; so have values of another shape.
    """
    if ours.shape != theirs.shape:
        return _Errors(inf, inf, theirs.size, theirs.size)
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    errors = np.abs(np.subtract(ours, theirs, where=~same, out=np.zeros_like(ours)))
    error = float(np.max(errors, initial=0.0))
    largest = float(np.max(np.abs(theirs), initial=0.0, where=np.isfinite(theirs))) or 1.0
    apart = int(np.count_nonzero(~(errors <= CLOSE * largest)))
    if not np.isfinite(error):
        return _Errors(inf, inf, apart, theirs.size)
    return _Errors(error, error / largest, apart, theirs.size)
