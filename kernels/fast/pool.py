"""Pooling of ``x[N,C,...]``."""

from collections.abc import Iterator

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.conv import window_of
from emu.kernels.fast.inputs import integers
from emu.kernels.fast.writer import Writer, copying


def max_pool(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    """Return the largest of each window, folded along one dimension after the other."""
    (x,) = ins
    slid = window_of(attrs, integers(attrs, "kernel_shape"))
    places, found = slid.out(x.shape[2:]), slid.grown(x, -np.inf)
    for i, (taps, steps) in enumerate(zip(slid.kernel, places, strict=True)):
        cuts = _taps(taps, slid.dilations[i], slid.strides[i], steps)
        found = _largest(found[(slice(None),) * (2 + i) + (cut,)] for cut in cuts)
    return found


def _taps(taps: int, dilation: int, stride: int, steps: int) -> Iterator[slice]:
    """Yield, for each tap along one dimension, what it reads in ``steps`` places."""
    for tap in range(0, taps * dilation, dilation):
        yield slice(tap, tap + (steps - 1) * stride + 1, stride)


def _largest(views: Iterator[Array]) -> Array:
    found = next(views).copy()
    for view in views:
        np.maximum(found, view, out=found)
    return found


def global_average_pool(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    """Return ``[N,C,1,...]``, the mean of each channel of ``[N,C,...]``."""
    (x,) = ins
    means = x.reshape(*x.shape[:2], -1).mean(axis=-1)
    return means.reshape(*x.shape[:2], *(1 for _ in x.shape[2:]))


POOLS: dict[str, Writer] = {
    "MaxPool": copying(max_pool),
    "GlobalAveragePool": copying(global_average_pool),
}
