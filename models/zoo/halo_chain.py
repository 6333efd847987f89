"""Where fusion recomputes: convolutions with wide windows, whose halos add up along a chain."""

from emu.models.model import Model
from emu.models.zoo.convolution import conv
from emu.models.zoo.draft import Draft


def halo_chain(
    *, batch: int = 2, image: int = 28, channels: int = 128, kernel: int = 7, layers: int = 4
) -> Model:
    """Convolutions with windows of 7: a band of rows of the last needs ever more rows before it."""
    draft = Draft("halo_chain")
    shape = (batch, channels, image, image)
    y = draft.input("x", shape)
    for layer in range(layers):
        y = conv(draft, f"conv{layer + 1}", y, (channels, channels), kernel)
    return draft.finish({y: shape})
