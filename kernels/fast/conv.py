"""Convolutions over any number of dimensions: ``x[N,C,...]``, ``w[M,C/g,...]``, ``bias[M]``."""

from collections.abc import Callable

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.ops.window import Window, window
from emu.ir.types import Array, type_of
from emu.kernels.fast.inputs import integer, integers
from emu.kernels.fast.lying import laid
from emu.kernels.fast.memory import aligned
from emu.kernels.fast.tiled import Ending, convolution
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call, InTurn, Writer, copying

MOST = 2**31  # elements that a table of places can count


def window_of(attrs: Attrs, kernel: tuple[int, ...]) -> Window:
    """Return the window of a conv or pool with these attributes."""
    lists = (integers(attrs, name) for name in ("strides", "pads", "dilations"))
    return window(kernel, *lists, ceil_mode=integer(attrs, "ceil_mode", 0))


def slides(ins: tuple[Array, ...], attrs: Attrs) -> bool:
    """Whether a window slides over at least one dimension, and none is empty."""
    del attrs
    return ins[0].ndim > 2 and 0 < ins[0].size < MOST


def on_image(x: Array, step: Callable[[Array], Call]) -> Call:
    """Return a step on ``x`` with channels innermost; one that lies otherwise is copied first."""
    if min(x.strides) >= 0 and (x.shape[1] == 1 or x.strides[1] == x.itemsize):
        return step(x)
    image = laid(aligned(x.nbytes), type_of(x), True)
    return InTurn((copy_step(image, x), step(image)))


def bind_conv(ins: tuple[Array, ...], attrs: Attrs, out: Array, ending: Ending) -> Call:
    """The step that convolves into ``out``, an image; ``ins`` are x and fixed weights."""
    x, w = ins
    slid, groups = window_of(attrs, w.shape[2:]), integer(attrs, "group", 1)
    return on_image(x, lambda image: convolution(image, w, slid, groups, out, ending))


def conv(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    """Return the convolution ``[N,M,...]``."""
    x, w, *bias = ins
    space = window_of(attrs, w.shape[2:]).out(x.shape[2:])
    out = last_empty((x.shape[0], w.shape[0], *space))
    bind_conv((x, w), attrs, out, Ending(bias[0] if bias else None))()
    return out


def last_empty(shape: tuple[int, ...]) -> Array:
    """Room for images ``[N,C,...]`` in f32 with channels innermost."""
    n, c, *space = shape
    return np.moveaxis(np.empty((n, *space, c), np.float32), -1, 1)


CONVOLUTIONS: dict[str, Writer] = {"Conv": copying(conv, slides)}
