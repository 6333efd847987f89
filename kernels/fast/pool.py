"""Pooling of ``x[N,C,...]``."""

from math import prod

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.ops.window import Window, window
from emu.ir.types import Array
from emu.kernels.fast.chain import alone
from emu.kernels.fast.conv import on_image, slides, window_of
from emu.kernels.fast.inputs import integer, integers
from emu.kernels.fast.tiled import Ending, convolution, largest
from emu.kernels.fast.writer import Call, InTurn, Writer


def max_pool(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """Bind the largest of each window, into an image."""
    slid = window_of(attrs, integers(attrs, "kernel_shape"))
    return on_image(ins[0], lambda image: largest(image, slid, out))


def average_pool(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """Bind the mean of each window, into an image: a sum, and a factor where counts differ."""
    (x,) = ins
    slid = window_of(attrs, integers(attrs, "kernel_shape"))
    counts = _counts(slid, x.shape[2:], bool(integer(attrs, "count_include_pad", 0)))
    most = int(counts.max())
    mean = on_image(x, lambda image: _summed(image, slid, 1 / most, out))
    if (counts == most).all():
        return mean
    factor = (most / counts).astype(np.float32)
    return InTurn((mean, alone("Mul", (out, factor), {}, out)))


def global_average_pool(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """Bind the mean of each channel, ``[N,C,1,...]``: one window over all of its space."""
    del attrs
    (x,) = ins
    whole, share = window(x.shape[2:], (), (), ()), 1 / prod(x.shape[2:])
    return on_image(x, lambda image: _summed(image, whole, share, out))


def _summed(x: Array, slid: Window, factor: float, out: Array) -> Call:
    """The step that adds up what a window meets, each times ``factor``: each channel alone."""
    weights = np.full((x.shape[1], 1, *slid.kernel), factor, np.float32)
    return convolution(x, weights, slid, x.shape[1], out, Ending())


def _counts(slid: Window, space: tuple[int, ...], padding: bool) -> Array:
    """How many elements each window meets, ``[...]``; of the ``padding`` too if that counts."""
    found: Array = np.ones((), np.int64)
    for i, (size, places) in enumerate(zip(space, slid.out(space), strict=True)):
        before, behind = (slid.before[i], slid.behind[i]) if padding else (0, 0)
        starts = np.arange(places) * slid.strides[i] - slid.before[i]
        taps = starts[:, None] + np.arange(slid.kernel[i]) * slid.dilations[i]
        inside = (taps >= -before) & (taps < size + behind)
        found = found[..., None] * inside.sum(axis=1)
    return found


def _has_windows(ins: tuple[Array, ...], attrs: Attrs) -> bool:
    """Whether each window meets an element, so that it has a mean."""
    if not slides(ins, attrs):
        return False
    slid = window_of(attrs, integers(attrs, "kernel_shape"))
    space = ins[0].shape[2:]
    return bool(_counts(slid, space, bool(integer(attrs, "count_include_pad", 0))).all())


POOLS: dict[str, Writer] = {
    "MaxPool": Writer(max_pool, covers=slides),
    "AveragePool": Writer(average_pool, covers=_has_windows),
    "GlobalAveragePool": Writer(global_average_pool, covers=slides),
}
