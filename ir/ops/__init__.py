"""The op table, one file a family; importing the package enters every family into ``OPS``."""

from emu.ir.ops import (
    activations,
    bits,
    broadcast,
    conv,
    decide,
    elementwise,
    indexing,
    matrix,
    movement,
    normalisation,
    onnx_node,
    pooling,
    quantisation,
    reduction,
    resize,
    scatter,
    selection,
)
from emu.ir.ops.table import OPS, Fusion, Op, Work, find_op

FAMILIES = (
    elementwise,
    activations,
    broadcast,
    bits,
    movement,
    indexing,
    reduction,
    normalisation,
    matrix,
    conv,
    pooling,
    quantisation,
    resize,
    selection,
    scatter,
    onnx_node,
    decide,
)

__all__ = ["FAMILIES", "OPS", "Fusion", "Op", "Work", "find_op"]
