"""A model as the user gave it: ONNX without the contents of its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emu.ir.graph import Constant
from emu.models.limits import UNLIMITED, Limits

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Model:
    """An ONNX model whose weights stay where they are until somebody asks for them.

    In ``proto`` every name of ``weights`` is an initializer without data, marked as external;
    small structural constants (shapes, axes, scalars, masks) are complete. ``origin`` is the path
    of the file, or ``zoo``; ``limits`` bound what a file may ask for. Nobody may change ``proto``.
    """

    name: str
    proto: "onnx.ModelProto" = field(repr=False)
    weights: Mapping[str, Constant] = field(repr=False)
    origin: str
    limits: Limits = UNLIMITED

    @property
    def weight_bytes(self) -> int:
        """Size of all weights together, in bytes."""
        return sum(weight.type.bytes for weight in self.weights.values())
