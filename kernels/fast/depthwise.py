"""Depthwise convolution by long multiply-adds, one tap after the other, in a fixed order.

The padded image is split into stride x stride phases, so that what one tap reads for all outputs
is one run of neighbours in memory: output ``t`` of a tap reads ``phase[t + offset]``. Rows wrap at
the phase's width, so a few outputs at each row's end are computed for nothing and left out.
"""

from dataclasses import dataclass

import numpy as np

from emu.ir.ops.window import Window
from emu.ir.types import Array

# Channels are taken in blocks whose phases and sums stay in a core's own cache.
BLOCK_BYTES = 2**17


@dataclass(frozen=True, slots=True)
class _Phases:
    """Geometry: ``[high,wide]`` is one phase, ``[rows,columns]`` the output."""

    window: Window
    high: int
    wide: int
    rows: int
    columns: int

    @property
    def run(self) -> int:
        """Outputs from the first to the last, wrapped ones included."""
        return (self.rows - 1) * self.wide + self.columns

    def place(self, i: int, j: int) -> tuple[tuple[int, int], int]:
        """Return the phase that tap ``[i,j]`` reads, and its offset there."""
        (down, across), (dy, dx) = self.window.strides, self.window.dilations
        (y, top), (x, left) = divmod(i * dy, down), divmod(j * dx, across)
        return (top, left), y * self.wide + x


def depthwise(x: Array, w: Array, window: Window) -> Array:
    """Return ``[N,C,OH,OW]`` for ``x[N,C,H,W]``, ``w[C,1,kh,kw]``, f32."""
    n, c, h, width = x.shape
    shape = _phases(window, h, width)
    out = np.empty((n, c, shape.rows, shape.columns), np.float32)
    step = max(1, BLOCK_BYTES // (4 * h * width))
    for image, result in zip(x, out, strict=True):
        for at in range(0, c, step):
            block = slice(at, at + step)
            sums = _sums(_split(image[block], shape), w[block], shape)
            np.copyto(result[block], sums[:, :, : shape.columns])
    return out


def _phases(window: Window, h: int, width: int) -> _Phases:
    (top, left, bottom, right), (down, across) = window.pads, window.strides
    high, wide = -(-(h + top + bottom) // down), -(-(width + left + right) // across)
    rows, columns = window.out((h, width))
    return _Phases(window, high, wide, rows, columns)


def _split(x: Array, shape: _Phases) -> Array:
    """Return the phases ``[down,across,C,high*wide]`` of ``x[C,H,W]`` with a zero border."""
    (top, left), (down, across) = shape.window.before, shape.window.strides
    c, h, width = x.shape
    image = np.zeros((c, shape.high * down, shape.wide * across), np.float32)
    image[:, top : top + h, left : left + width] = x
    split = image.reshape(c, shape.high, down, shape.wide, across).transpose(2, 4, 0, 1, 3)
    return split.reshape(down, across, c, -1)


def _sums(phases: Array, w: Array, shape: _Phases) -> Array:
    """Return ``[C,rows,wide]``, the taps added up in row-major order."""
    c, run = w.shape[0], shape.run
    sums = np.zeros((c, shape.rows * shape.wide), np.float32)
    term = np.empty((c, run), np.float32)
    for i, j in np.ndindex(shape.window.kernel):
        phase, offset = shape.place(i, j)
        np.multiply(phases[phase][:, offset : offset + run], w[:, 0, i, j, None], out=term)
        np.add(sums[:, :run], term, out=sums[:, :run])
    return sums.reshape(c, shape.rows, shape.wide)
