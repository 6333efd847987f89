"""Sparse tensors of a file: dense ones as soon as it is open, so that nothing else knows of them.

Source: ``SparseTensorProto`` of onnx.proto: values [N], and indices that are [N], numbers of
elements in row-major order, or [N, rank]; in ascending order, and none twice.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from emu.ir.errors import ModelError, Unsupported
from emu.ir.graph import Constant
from emu.ir.types import HELD, NUMPY, Array, TensorType
from emu.models.limits import Limits
from emu.models.tensors import array_of, shared, stub_type

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """``values`` at the elements ``places`` (i64, ascending) of a dense tensor, else zeros."""

    name: str
    type: TensorType
    places: Array
    values: Array

    def dense(self) -> Array:
        """Return the dense tensor."""
        made = np.zeros(self.type.elements, NUMPY[self.type.dtype])
        made[self.places] = self.values
        return made.reshape(self.type.dims)

    @property
    def constant(self) -> Constant:
        """The dense tensor, made whenever it is loaded and nobody has it."""
        contents = self.places.tobytes() + self.values.tobytes()
        digest = blake2b(contents, digest_size=12).hexdigest()
        return Constant(self.type, f"sparse:{self.type}:{digest}", shared(self.dense))


def sparse_of(proto: "onnx.SparseTensorProto", origin: str, limits: Limits) -> Sparse:
    """Read a sparse tensor, whose name is that of its values.

    Raises OverLimit for a dense tensor that would be too large, ModelError for values and indices
    that do not fit each other or the shape, Unsupported for text.
    """
    from onnx import TensorProto

    name, where = proto.values.name, f"{origin}: sparse tensor '{proto.values.name}'"
    kind = proto.values.data_type
    type = stub_type(TensorProto(name=name, dims=proto.dims, data_type=kind), origin)
    limits.check_type(type, where)
    if type.dtype in HELD:
        raise Unsupported(f"{where}: text cannot be sparse, as it has no zero")
    values, indices = array_of(proto.values, where), array_of(proto.indices, where)
    fitting = ((len(values),), (len(values), len(type.dims))) if values.ndim == 1 else ()
    if indices.dtype != np.int64 or indices.shape not in fitting:
        found = f"{values.shape} values at {indices.shape} indices of {indices.dtype}"
        raise ModelError(f"{where}: has {found}; needs [N] at [N] or [N, rank] of int64")
    return Sparse(name, type, _places(indices, type, where), values)


def _places(indices: Array, type: TensorType, where: str) -> Array:
    """The numbers of the elements that indices mean."""
    bounds = type.dims if indices.ndim == 2 else (type.elements,)
    columns = indices.reshape(len(indices), len(bounds))
    if ((columns < 0) | (columns >= np.array(bounds, np.int64))).any():
        raise ModelError(f"{where}: an index is outside of the shape {list(type.dims)}")
    places = np.zeros(len(indices), np.int64)
    for column, bound in zip(columns.T, bounds, strict=True):
        places = places * bound + column
    if (np.diff(places) <= 0).any():
        raise ModelError(f"{where}: its indices do not ascend, or one is there twice")
    return places
