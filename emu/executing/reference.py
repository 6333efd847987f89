"""The oracle: the same model, as the user gave it, computed by onnxruntime or by onnx itself."""

from collections.abc import Mapping
from typing import Any

from emu.ir.errors import ModelError, NoOracle
from emu.ir.types import Array
from emu.models.model import Model
from emu.models.tensors import ELEM_TYPES

ERRORS_ONLY = 3
LACKING = "NotImplemented"  # how onnxruntime calls the error of an op without code


def onnxruntime_outputs(model: Model, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of the model's own nodes, not rewritten in any way, by name.

    The weights are handed over as inputs, since onnxruntime copies initializers but not inputs.
    Raises ModelError with onnxruntime's reason when it refuses the model or the values, and its
    subclass NoOracle where it has no code for an op in an element type.
    """
    weights = {name: weight.load() for name, weight in model.weights.items()}
    try:
        return _run(_weights_as_inputs(model), {**inputs, **weights})
    except Exception as error:
        reason = " ".join(str(error).split())
        said = f"{model.origin}: onnxruntime refuses the model: {reason}"
        if type(error).__name__ == LACKING:
            raise NoOracle(said) from error
        raise ModelError(said) from error


def onnx_outputs(model: Model, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs as onnx's own reference implementation computes them, by name.

    Raises ModelError with its reason when it does not.
    """
    from onnx import load_from_string
    from onnx.reference import ReferenceEvaluator

    weights = {name: weight.load() for name, weight in model.weights.items()}
    try:
        evaluator: Any = ReferenceEvaluator(load_from_string(_weights_as_inputs(model)))
        found = evaluator.run(None, {**inputs, **weights})
    except Exception as error:  # it raises whatever its Python happens to
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(
            f"{model.origin}: onnxruntime has no code for it (--no-check compares nothing), and"
            f" onnx.reference refuses the model: {reason}"
        ) from error
    return dict(zip(evaluator.output_names, found, strict=True))


def _weights_as_inputs(model: Model) -> bytes:
    """Return the ONNX text of the model in which every weight is an input."""
    from onnx import ModelProto, helper

    proto = ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    kept = [t for t in graph.initializer if t.name not in model.weights]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    missing = model.weights.keys() - {value.name for value in graph.input}
    types = ((name, model.weights[name].type) for name in sorted(missing))
    graph.input.extend(
        helper.make_tensor_value_info(name, ELEM_TYPES[type.dtype], type.dims)
        for name, type in types
    )
    return proto.SerializeToString()


def _run(text: bytes, values: Mapping[str, Array]) -> dict[str, Array]:
    import onnxruntime

    ort: Any = onnxruntime
    options = ort.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(text, options, providers=["CPUExecutionProvider"])
    names: list[str] = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(values)), strict=True))
