"""Rows scaled by something that the whole row decides: softmax and layer norm."""

import numpy as np

from emu.ir.ops.table import Fusion, op
from emu.ir.ops.type_rules import along_axis, layer_norm
from emu.ir.ops.work_rules import per_element
from emu.ir.types import Array


@op("Softmax", Fusion.REDUCTION, along_axis(-1), per_element(7, 1, 1))
def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along ``axis``, with the maximum taken off first."""
    powers = np.exp(x - np.max(x, axis, keepdims=True))
    return powers / np.sum(powers, axis, keepdims=True)


@op("LogSoftmax", Fusion.REDUCTION, along_axis(-1), per_element(7, 1))
def log_softmax(x: Array, axis: int = -1) -> Array:
    """log(softmax(x)) along ``axis``."""
    shifted = x - np.max(x, axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis, keepdims=True))


@op("Hardmax", Fusion.REDUCTION, along_axis(-1), per_element(2))
def hardmax(x: Array, axis: int = -1) -> Array:
    """1 at the first of the largest elements along ``axis``, 0 elsewhere."""
    first = np.argmax(x, axis, keepdims=True)
    result = np.zeros_like(x)
    np.put_along_axis(result, first, x.dtype.type(1), axis)
    return result


@op("LayerNormalization", Fusion.REDUCTION, layer_norm, per_element(8))
def layer_normalization(
    x: Array, scale: Array, bias: Array | None = None, axis: int = -1, epsilon: float = 1e-5
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, over the dimensions from ``axis``."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    centred = x - np.mean(x, axes, keepdims=True)
    variance = np.mean(centred * centred, axes, keepdims=True)
    result = centred / np.sqrt(variance + x.dtype.type(epsilon)) * scale
    return result if bias is None else result + bias
