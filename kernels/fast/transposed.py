"""Transposed convolutions of ``x[N,C,...]`` and ``w[C,M/g,...]``: one convolution for each phase.

With strides s, the results at places o of the same ``o mod s`` (a phase) meet the same taps, and
along those the input moves evenly: that is a convolution with a part of the kernel, turned round.
"""

from itertools import product
from math import gcd

import numpy as np

from emu.ir.graph import Attrs
from emu.ir.ops.window import Window
from emu.ir.types import Array, TensorType
from emu.kernels.fast.conv import last_empty, on_image, slides, window_of
from emu.kernels.fast.inputs import integer, integers
from emu.kernels.fast.lying import laid
from emu.kernels.fast.memory import aligned
from emu.kernels.fast.tiled import Ending, convolution
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call, InTurn, Writer, copying

Axis = tuple[slice, int, int]  # the taps of a phase, from input to input, and padding before


def bind_transposed(ins: tuple[Array, ...], attrs: Attrs, out: Array, ending: Ending) -> Call:
    """The step that writes to ``out[N,M,...]``, an image; ``ins`` are x and fixed weights."""
    x, w = ins
    slid, groups = window_of(attrs, w.shape[2:]), integer(attrs, "group", 1)
    return on_image(x, lambda image: _phases(image, _turned(w, groups), slid, groups, out, ending))


def conv_transpose(ins: tuple[Array, ...], attrs: Attrs) -> Array:
    """Return the transposed convolution ``[N,M,...]``."""
    x, w, *bias = ins
    slid = window_of(attrs, w.shape[2:])
    ends = (-a - b for a, b in zip(slid.before, slid.behind, strict=True))
    more = integers(attrs, "output_padding") or (0,) * len(slid.kernel)
    sizes = zip(x.shape[2:], slid.strides, slid.spans, ends, more, strict=True)
    space = ((size - 1) * step + span + end + extra for size, step, span, end, extra in sizes)
    out = last_empty((x.shape[0], w.shape[1] * integer(attrs, "group", 1), *space))
    bind_transposed((x, w), attrs, out, Ending(bias[0] if bias else None))()
    return out


def _turned(w: Array, groups: int) -> Array:
    """``w[C,M/g,...]`` as the weights of a convolution, ``[M,C/g,...]``, its last taps first."""
    split = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    joined = split.reshape(-1, *split.shape[2:])
    return joined[(..., *(slice(None, None, -1) for _ in w.shape[2:]))]


def _phases(x: Array, w: Array, slid: Window, groups: int, out: Array, ending: Ending) -> Call:
    if max(slid.strides) == 1:
        return _phase(x, w, slid, groups, out, ending, (0,) * len(slid.strides))
    room, calls = aligned(out.nbytes), list[Call]()
    for phase in product(*map(range, slid.strides)):
        steps = zip(phase, slid.strides, strict=True)
        part = out[(..., *(slice(first, None, step) for first, step in steps))]
        if part.size:
            made = laid(room, TensorType("f32", part.shape), True)
            calls += [_phase(x, w, slid, groups, made, ending, phase), copy_step(part, made)]
    return InTurn(tuple(calls))


def _phase(
    x: Array,
    w: Array,
    slid: Window,
    groups: int,
    out: Array,
    ending: Ending,
    phase: tuple[int, ...],
) -> Call:
    axes = [_axis(slid, i, first, x.shape[2 + i]) for i, first in enumerate(phase)]
    taps = w[(..., *(taps for taps, _, _ in axes))]
    if taps.size == 0:  # no tap meets this phase: one of zeros, in the padding
        taps, axes = np.zeros((*w.shape[:2], *(1 for _ in axes)), np.float32), _outside(x)
    dilations, before = tuple(a[1] for a in axes), tuple(a[2] for a in axes)
    spans = ((k - 1) * d + 1 for k, d in zip(taps.shape[2:], dilations, strict=True))
    sizes = zip(out.shape[2:], spans, x.shape[2:], before, strict=True)
    behind = (count - 1 + span - size - first for count, span, size, first in sizes)
    ones = (1,) * len(axes)
    window = Window(taps.shape[2:], ones, (*before, *behind), dilations)
    return convolution(x, taps, window, groups, out, ending)


def _axis(slid: Window, i: int, phase: int, size: int) -> Axis:
    """Along one dimension: of the taps t of the phase, ``phase + before - t * dilation`` is whole
    strides, which is how far the input that tap t meets lies behind the place.
    """
    step, dilation, kernel = slid.strides[i], slid.dilations[i], slid.kernel[i]
    at = phase + slid.before[i]
    taps = [t for t in range(kernel) if (at - t * dilation) % step == 0]
    if not taps:
        return slice(0, 0), 1, 0
    shared = gcd(step, dilation)
    last = kernel - 1 - taps[-1]  # where it lies in weights that begin with the last tap
    return slice(last, None, step // shared), dilation // shared, (taps[-1] * dilation - at) // step


def _outside(x: Array) -> list[Axis]:
    return [(slice(0, 1), 1, -size) for size in x.shape[2:]]


TRANSPOSED: dict[str, Writer] = {"ConvTranspose": copying(conv_transpose, slides)}
