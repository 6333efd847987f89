"""Pooling of ``x[N,C,...]``."""

from emu.ir.graph import Attrs
from emu.ir.types import Array
from emu.kernels.fast.conv import on_image, slides, window_of
from emu.kernels.fast.inputs import integers
from emu.kernels.fast.tiled import largest
from emu.kernels.fast.writer import Call, Writer, copying


def max_pool(ins: tuple[Array, ...], attrs: Attrs, out: Array) -> Call:
    """Bind the largest of each window, into an image."""
    slid = window_of(attrs, integers(attrs, "kernel_shape"))
    return on_image(ins[0], lambda image: largest(image, slid, out))


def global_average_pool(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    """Return ``[N,C,1,...]``, the mean of each channel of ``[N,C,...]``."""
    (x,) = ins
    means = x.reshape(*x.shape[:2], -1).mean(axis=-1)
    return means.reshape(*x.shape[:2], *(1 for _ in x.shape[2:]))


POOLS: dict[str, Writer] = {
    "MaxPool": Writer(max_pool, covers=slides),
    "GlobalAveragePool": copying(global_average_pool),
}
