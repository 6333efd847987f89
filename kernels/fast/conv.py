"""Convolution as matrix multiplication: ``x[N,C,H,W]``, ``w[M,C/g,kh,kw]``, ``bias[M]``."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from emu.ir.graph import Attrs
from emu.ir.ops.window import Window, window
from emu.ir.types import Array
from emu.kernels.fast.depthwise import depthwise
from emu.kernels.fast.inputs import integer, integers
from emu.kernels.fast.writer import Writer, copying

# Large enough for full speed of the matrix multiplication, small enough to stay in a shared cache
# and to keep big images from doubling the memory of a run (measured: 2 to 8 MiB are alike).
WORKSPACE_BYTES = 4 * 2**20


def window_of(attrs: Attrs, kernel: tuple[int, ...]) -> Window:
    """Return the window of a conv or pool with these attributes."""
    lists = (integers(attrs, name) for name in ("strides", "pads", "dilations"))
    return window(kernel, *lists, ceil_mode=integer(attrs, "ceil_mode", 0))


def is_flat(ins: tuple[Array, ...], attrs: Attrs) -> bool:
    """Whether a convolution is over two dimensions of which none is empty."""
    del attrs
    return ins[0].ndim == 4 and ins[0].size > 0


def conv(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    """Return the convolution ``[N,M,OH,OW]``."""
    x, w, *bias = ins
    out = _product(x, w, window_of(attrs, w.shape[2:]), integer(attrs, "group", 1))
    return _biased(out, bias)


def _biased(x: Array, bias: list[Array]) -> Array:
    for b in bias:
        np.add(x, b[:, None, None], out=x)
    return x


def _product(x: Array, w: Array, slid: Window, groups: int) -> Array:
    if groups == 1 and slid.kernel == (1, 1) and not any(slid.pads):
        return _pointwise(x, w, slid)
    if groups == x.shape[1] == w.shape[0]:
        return depthwise(x, w, slid)
    return _unfolded(x, w, slid, groups)


def _pointwise(x: Array, w: Array, slid: Window) -> Array:
    """One tap: the image itself is the matrix ``[C,H*W]``; strides thin it out first."""
    down, across = slid.strides
    x = x[:, :, ::down, ::across]
    n, c, h, width = x.shape
    return np.matmul(w.reshape(-1, c), x.reshape(n, c, -1)).reshape(n, -1, h, width)


def _unfolded(x: Array, w: Array, slid: Window, groups: int) -> Array:
    """Copy what the taps read into columns (im2col), some output rows at a time, and multiply."""
    views = _patches(slid.grown(x, 0.0), slid)
    n, m, (rows, columns) = x.shape[0], w.shape[0], views.shape[4:]
    out = np.empty((n, m, rows, columns), np.float32)
    weights = w.reshape(groups, m // groups, -1)
    flat = out.reshape(n, groups, m // groups, rows * columns)
    step = max(1, min(rows, WORKSPACE_BYTES * rows // views[0].nbytes))
    work = np.empty(views[0].size // rows * step, np.float32)
    for image, result in zip(views, flat, strict=True):
        for row in range(0, rows, step):
            matrix = _columns(image[:, :, :, row : row + step], work, groups)
            np.matmul(weights, matrix, out=result[:, :, row * columns : (row + step) * columns])
    return out


def _patches(grown: Array, slid: Window) -> Array:
    """Return the read-only view ``[N,C,kh,kw,OH,OW]`` of what each tap reads."""
    (down, across), (dy, dx) = slid.strides, slid.dilations
    seen = sliding_window_view(grown, slid.spans, axis=(2, 3))
    return seen[:, :, ::down, ::across, ::dy, ::dx].transpose(0, 1, 4, 5, 2, 3)


def _columns(taken: Array, work: Array, groups: int) -> Array:
    """Copy ``taken[C,kh,kw,rows,OW]`` into the workspace as ``[g, C/g*kh*kw, rows*OW]``."""
    columns = work[: taken.size].reshape(taken.shape)
    np.copyto(columns, taken)
    return columns.reshape(groups, -1, taken.shape[3] * taken.shape[4])


def conv_transpose(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    """Return ``[N,M,OH,OW]`` for ``w[C,M/g,kh,kw]``."""
    x, w, *bias = ins
    slid = window_of(attrs, w.shape[2:])
    canvas = _canvas(x, w, slid, integer(attrs, "group", 1), integers(attrs, "output_padding"))
    (top, left), (bottom, right) = slid.before, slid.behind
    high, wide = canvas.shape[2:]
    return _biased(canvas[:, :, top : high - bottom, left : wide - right], bias)


def _canvas(x: Array, w: Array, slid: Window, groups: int, extra: tuple[int, ...]) -> Array:
    """Multiply first, then add each tap's image ``[N,M,H,W]`` at its place, padding included."""
    n, c, h, width = x.shape
    m = w.shape[1] * groups
    weights = w.reshape(groups, c // groups, -1).transpose(0, 2, 1)
    parts = np.matmul(weights, x.reshape(n, groups, c // groups, -1))
    parts = parts.reshape(n, m, -1, h, width)
    more = extra or (0, 0)
    sizes = zip((h, width), slid.strides, slid.spans, more, strict=True)
    canvas = np.zeros((n, m, *((k - 1) * s + span + e for k, s, span, e in sizes)), np.float32)
    for tap, place in enumerate(slid.taps(canvas, (h, width))):
        np.add(place, parts[:, :, tap], out=place)
    return canvas


CONVOLUTIONS: dict[str, Writer] = {
    "Conv": copying(conv, is_flat),
    "ConvTranspose": copying(conv_transpose, is_flat),
}
