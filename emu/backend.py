"""ONNX's backend protocol: a model or a node in, values out, on one of emu's devices.

ONNX's own tests (``onnx.backend.test``) drive emu through it; ``run`` goes by the positions of
inputs or by their names, as the protocol says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, ClassVar, cast
from weakref import finalize

import numpy as np
from onnx import ModelProto, NodeProto, TypeProto, helper
from onnx.backend.base import Backend as Protocol
from onnx.backend.base import BackendRep, namedtupledict
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt
from onnx.defs import onnx_opset_version

from emu.devices.datasheet import device_names
from emu.ir.errors import EmuError, UnknownName
from emu.ir.held import canonical
from emu.ir.types import Array
from emu.models.dims import inputs_of
from emu.models.reader import read_model
from emu.run import Run
from emu.shapes import Shapes

RUNNERS_DEVICE = "CPU"  # the name by which ONNX's test runner asks for any device


class NotSupported(BackendIsNotSupposedToImplementIt):
    """emu refuses a model or its inputs; the message is that of emu's own error."""


class Prepared(BackendRep):
    """A model that is ready to run, compiled once for each shape of its inputs.

    ``ran`` is the last run.
    """

    def __init__(self, model: ModelProto, device: str) -> None:
        """Read ``model`` for one of emu's devices; raises NotSupported."""
        folder = mkdtemp()  # weights stay on the disk until they are wanted
        finalize(self, rmtree, folder)
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            read = replace(read_model(path), origin=model.graph.name or path.name)
            self._declared = inputs_of(read)
        except EmuError as error:
            raise NotSupported(str(error)) from error
        self._outputs = [value.name for value in model.graph.output]
        self._shapes = Shapes(read, device=device)
        self.ran: Run | None = None

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the outputs in their order, for inputs by position or by name.

        Raises NotSupported for what emu refuses.
        """
        try:
            self.ran = self._shapes.run(self._named(inputs))
        except EmuError as error:
            raise NotSupported(str(error)) from error
        outputs = self.ran.outputs or {}
        found = [outputs[name] for name in self._outputs]
        return namedtupledict("Outputs", self._outputs)(*found)

    def _named(self, inputs: Any) -> dict[str, Array]:
        if isinstance(inputs, Mapping):
            by_name = cast(Mapping[str, Any], inputs)
            return {name: canonical(array) for name, array in by_name.items()}
        given = cast(Sequence[Any], inputs)
        if len(given) > len(self._declared):
            raise NotSupported(f"{len(given)} inputs for {len(self._declared)} of the model")
        return dict(zip(self._declared, map(canonical, given), strict=False))


class Backend(Protocol):
    """emu with the device ``gpu``; to ONNX's test runner, which knows no such name, its CPU."""

    device: ClassVar[str] = "gpu"

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether ``device`` is one of emu's, or the runner's "CPU"."""
        return device == RUNNERS_DEVICE or device in device_names()

    @classmethod
    def prepare(cls, model: ModelProto, device: str = RUNNERS_DEVICE, **kwargs: Any) -> Prepared:
        """Get a model ready to run on ``device``, "CPU" being that of the class.

        Raises NotSupported with the reason for what emu refuses.
        """
        if not cls.supports_device(device):
            raise NotSupported(
                str(UnknownName("device", device, (RUNNERS_DEVICE, *device_names())))
            )
        return Prepared(model, cls.device if device == RUNNERS_DEVICE else device)

    @classmethod
    def run_model(
        cls, model: ModelProto, inputs: Any, device: str = RUNNERS_DEVICE, **kwargs: Any
    ) -> tuple[Any, ...]:
        """Return the outputs of a model that is run once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Any,
        device: str = RUNNERS_DEVICE,
        outputs_info: Sequence[tuple[np.dtype[Any], tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Return the outputs of one node, of the newest opset unless ``opset_version`` is given."""
        opset = int(kwargs.pop("opset_version", onnx_opset_version()))
        return cls.run_model(_model_of(node, list(inputs), opset), inputs, device, **kwargs)


class Systolic(Backend):
    """emu with the device ``systolic``."""

    device: ClassVar[str] = "systolic"


class Npu(Backend):
    """emu with the device ``npu``."""

    device: ClassVar[str] = "npu"


def _model_of(node: NodeProto, inputs: Sequence[Any], opset: int) -> ModelProto:
    """A model of one node, whose inputs have the types of the values that it is given."""
    names = [name for name in node.input if name]
    types = [_declared(np.asarray(array)) for array in inputs]
    graph = helper.make_graph(
        [node],
        node.op_type,
        [helper.make_value_info(n, t) for n, t in zip(names, types, strict=True)],
        [helper.make_value_info(name, TypeProto()) for name in node.output if name],
    )
    opsets = {"": onnx_opset_version(), node.domain: opset}
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    return helper.make_model(graph, opset_imports=imports)


def _declared(array: Array) -> TypeProto:
    element = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_type_proto(element, array.shape)


prepare = Backend.prepare
run_model = run = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
