"""U-Net: Ronneberger et al. 2015, with padded convolutions, so that sizes stay."""

from emu.ir.errors import BadOption
from emu.models.model import Model
from emu.models.zoo.convolution import conv
from emu.models.zoo.draft import Draft, Fill, fan_in

DEPTH = 4


def unet(*, batch: int = 1, image: int = 128, width: int = 32, classes: int = 2) -> Model:
    """U-Net with four levels down by MaxPool and four up by ConvTranspose, joined by Concat."""
    if image % 2**DEPTH:
        raise BadOption(f"setting image={image} of unet must be a multiple of {2**DEPTH}")
    draft = Draft("unet")
    x, before = draft.input("image", (batch, 3, image, image)), 3
    skips: list[str] = []
    for level in range(DEPTH):
        x = _two_convs(draft, f"down{level}", x, (before, width << level))
        skips.append(x)
        before = width << level
        window = {"kernel_shape": (2, 2), "strides": (2, 2)}
        x = draft.node("MaxPool", f"down{level}.pool", x, **window)
    x = _two_convs(draft, "bottom", x, (before, width << DEPTH))
    for level in reversed(range(DEPTH)):
        x = _up(draft, f"up{level}", x, skips[level], width << level)
    conv(draft, "mask", x, (width, classes), 1, bias=True)
    return draft.finish({"mask": (batch, classes, image, image)})


def _two_convs(draft: Draft, name: str, x: str, channels: tuple[int, int]) -> str:
    before, after = channels
    x = conv(draft, f"{name}.conv1", x, (before, after), 3, bias=True)
    x = draft.node("Relu", f"{name}.relu1", x)
    x = conv(draft, f"{name}.conv2", x, (after, after), 3, bias=True)
    return draft.node("Relu", f"{name}.relu2", x)


def _up(draft: Draft, name: str, x: str, skip: str, channels: int) -> str:
    shape = (2 * channels, channels, 2, 2)
    weight = draft.weight(f"{name}.grow.weight", shape, fan_in(2 * channels, 2.0))
    bias = draft.weight(f"{name}.grow.bias", (channels,), Fill(0.0, 0.05))
    window = {"kernel_shape": (2, 2), "strides": (2, 2)}
    x = draft.node("ConvTranspose", f"{name}.grow", x, weight, bias, **window)
    x = draft.node("Concat", f"{name}.concat", skip, x, axis=1)
    return _two_convs(draft, name, x, (2 * channels, channels))
