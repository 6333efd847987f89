"""Where fusion fills a core: rows so wide that one band of them takes all on-chip memory."""

from emu.models.model import Model
from emu.models.zoo.convolution import conv
from emu.models.zoo.draft import Draft


def wide_chain(
    *, batch: int = 1, rows: int = 384, width: int = 192, channels: int = 64, waist: int = 16
) -> Model:
    """Two 1x1 convolutions with a narrow waist over rows of 192: one band of rows fills a core."""
    draft = Draft("wide_chain")
    shape = (batch, channels, rows, width)
    x = draft.input("x", shape)
    y = conv(draft, "narrow", x, (channels, waist), 1)
    y = conv(draft, "widen", y, (waist, channels), 1)
    return draft.finish({y: shape})
