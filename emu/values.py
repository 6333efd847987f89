"""Values of a run, and their comparison with the oracle."""

from collections.abc import Mapping

import numpy as np

from emu.devices.device import Device
from emu.execute import execute
from emu.ir.types import Array
from emu.models.inputs import check_inputs, random_inputs
from emu.reference import onnxruntime_outputs
from emu.run import Check, Compiled, Run

TOLERANCE = 1e-4  # of the largest output, f32


def compute(
    compiled: Compiled,
    chip: Device,
    inputs: Mapping[str, Array] | None,
    seed: int,
    check: bool,
    executor: str,
) -> Run:
    """Execute the loaded program; raises BadValues for inputs that the model does not take."""
    graph = compiled.graph
    if inputs is None:
        inputs = random_inputs(graph, seed)
    else:
        check_inputs(graph, inputs)
    tilewise = frozenset(i for i, b in enumerate(compiled.schedule.bindings) if b.tilewise)
    state = execute(compiled.program, compiled.lowered, inputs, executor, tilewise, chip.residency)
    outputs = {name: state.read(name) for name in graph.outputs}
    return Run(compiled, inputs, outputs, checked(compiled, inputs, outputs) if check else None)


def checked(compiled: Compiled, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Check:
    """Compare outputs with what onnxruntime computes for the model as it was given."""
    reference = onnxruntime_outputs(compiled.model, inputs)
    errors = [_errors(outputs[name], reference[name]) for name in outputs]
    worst_abs = max((e[0] for e in errors), default=0.0)
    worst_rel = max((e[1] for e in errors), default=0.0)
    return Check("onnxruntime", worst_abs, worst_rel, TOLERANCE)


def _errors(ours: Array, theirs: Array) -> tuple[float, float]:
    """The largest absolute error, and the same relative to the largest value; NaN counts as inf."""
    if not theirs.size:
        return 0.0, 0.0
    error = float(np.max(np.abs(ours.astype(np.float64) - theirs.astype(np.float64))))
    largest = float(np.max(np.abs(theirs.astype(np.float64))))
    if not np.isfinite(error):
        return float("inf"), float("inf")
    return error, error / largest if largest else error
