"""One bottleneck of ResNet-50: the smallest graph on which depth-first fusion shows."""

from emu.models.model import Model
from emu.models.zoo.convolution import bottleneck
from emu.models.zoo.draft import Draft


def conv_block(*, batch: int = 1, image: int = 56, channels: int = 256) -> Model:
    """One ResNet bottleneck with batch normalisation and a residual: 10 nodes."""
    draft = Draft("conv_block")
    x = draft.input("x", (batch, channels, image, image))
    y = bottleneck(draft, "block", x, (channels, max(channels // 4, 1), channels))
    return draft.finish({y: (batch, channels, image, image)})
