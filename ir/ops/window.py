"""Windows that slide over space: what conv and pooling share."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.types import Array

Ints = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A window over the spatial dimensions; ``pads`` are all begins, then all ends."""

    kernel: Ints
    strides: Ints
    pads: Ints
    dilations: Ints
    ceil_mode: bool = False

    @property
    def before(self) -> Ints:
        """Padding before each dimension."""
        return self.pads[: len(self.kernel)]

    @property
    def behind(self) -> Ints:
        """Padding behind each dimension."""
        return self.pads[len(self.kernel) :]

    @property
    def spans(self) -> Ints:
        """Input elements from the first to the last tap: (k-1)*dilation + 1."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def out(self, space: Ints) -> Ints:
        """Return the number of places in each dimension; raise ModelError if there is none."""
        places = tuple(self._places(i, size) for i, size in enumerate(space))
        if min(places, default=1) < 1:
            raise ModelError(f"a window of {self.spans} does not fit in {space} with {self.pads}")
        return places

    def _places(self, i: int, size: int) -> int:
        room = size + self.before[i] + self.behind[i] - self.spans[i]
        if room < 0:
            return 0
        if not self.ceil_mode:
            return room // self.strides[i] + 1
        places = -(-room // self.strides[i]) + 1
        # The last window must begin within the input or the padding before it.
        return places - ((places - 1) * self.strides[i] >= size + self.before[i])

    def grown(self, x: Array, fill: float) -> Array:
        """Return x[N,C,...] with ``fill`` around it, enough for the last window too."""
        space = x.shape[2:]
        ends = (
            max((out - 1) * stride + span - size - before, 0)
            for out, stride, span, size, before in zip(
                self.out(space), self.strides, self.spans, space, self.before, strict=True
            )
        )
        widths = [(0, 0), (0, 0), *zip(self.before, ends, strict=True)]
        if not any(a or b for a, b in widths):
            return x
        return np.pad(x, widths, constant_values=x.dtype.type(fill))

    def taps(self, grown: Array, out: Ints) -> Iterator[Array]:
        """Yield for each tap of the kernel, in order, the [N,C,*out] elements that meet it."""
        for tap in product(*(range(k) for k in self.kernel)):
            starts = (t * d for t, d in zip(tap, self.dilations, strict=True))
            cuts = tuple(
                slice(start, start + (n - 1) * stride + 1, stride)
                for start, n, stride in zip(starts, out, self.strides, strict=True)
            )
            yield grown[(slice(None), slice(None), *cuts)]


def window(
    kernel: Ints, strides: Ints = (), pads: Ints = (), dilations: Ints = (), ceil_mode: int = 0
) -> Window:
    """Return the window; absent lists mean 1, 0, 1. Raise ModelError if lengths do not fit."""
    rank = len(kernel)
    made = Window(
        kernel,
        strides or (1,) * rank,
        pads or (0,) * 2 * rank,
        dilations or (1,) * rank,
        bool(ceil_mode),
    )
    lengths = (len(made.strides), len(made.pads), len(made.dilations))
    if lengths != (rank, 2 * rank, rank):
        raise ModelError(f"strides, pads or dilations do not fit a kernel of shape {kernel}")
    if min((*made.kernel, *made.strides, *made.dilations), default=1) < 1:
        raise ModelError(f"kernel {kernel}, strides and dilations must be positive")
    return made
