"""How values lie in the memory of the host: row-major, or images with channels innermost.

Convolutions and pools read and write images with channels innermost, and what works on images
element by element leaves them so. A value is always seen in its own order of dimensions.
"""

import numpy as np

from emu.ir.ops.movement import RESHAPES
from emu.ir.types import Array, TensorType
from emu.kernels.fast.inputs import Inputs
from emu.kernels.fast.memory import shaped

IMAGES = frozenset(("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool"))
REDUCTIONS = frozenset(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"))
FOLDS = REDUCTIONS | {"Softmax", "LogSoftmax", "LayerNormalization"}
LOOK_UPS = frozenset(
    (
        *("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"),
        *("TopPlaces", "ArgMax", "ArgMin"),
    )
)
ROWS = RESHAPES | FOLDS | LOOK_UPS | {"MatMul", "Gemm", "Transpose"}


def last(x: Array) -> Array:
    """Images ``[N,C,...]`` seen as ``[N,...,C]``."""
    return np.moveaxis(x, 1, -1)


def is_image(x: Array) -> bool:
    """Whether images lie with channels innermost, and in no other way."""
    return x.ndim > 2 and x.strides[1] == x.itemsize and not x.flags.c_contiguous


def wanted(op: str, ins: Inputs, type: TensorType) -> bool:
    """Whether the result of an op is best an image with channels innermost."""
    if len(type.shape) < 3 or op in ROWS:
        return False
    return op in IMAGES or any(
        a is not None and a.ndim == len(type.shape) and is_image(a) for a in ins
    )


def laid(room: Array, type: TensorType, image: bool) -> Array:
    """A value of ``type`` at the start of ``room``, ui8[...], dense in one of both orders."""
    if not image:
        return shaped(room, type)
    n, c, *space = type.dims
    return np.moveaxis(shaped(room, TensorType(type.dtype, (n, *space, c))), -1, 1)


def flat(x: Array) -> Array:
    """All elements of a dense value in the order in which they lie, ``[elements]``."""
    return (last(x) if is_image(x) else x).reshape(-1)


def lie_alike(x: Array, out: Array) -> bool:
    """Whether each element of ``x`` lies where that of ``out`` does, or nowhere in it."""
    same = (x.ctypes.data, x.shape, x.strides) == (out.ctypes.data, out.shape, out.strides)
    return same or not np.may_share_memory(x, out)
