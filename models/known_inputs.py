"""A model some of whose inputs are known, like the shapes, axes and conditions it follows from."""

from collections.abc import Mapping
from dataclasses import replace

from emu.ir.types import Array
from emu.models.model import Model


def with_known(model: Model, known: Mapping[str, Array]) -> Model:
    """The model in which the inputs ``known`` are constants, so that no run takes them."""
    from onnx import ModelProto
    from onnx.numpy_helper import from_array

    if not known:
        return model
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.initializer.extend(from_array(array, name) for name, array in known.items())
    return replace(model, proto=proto)
