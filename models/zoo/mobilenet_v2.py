"""MobileNetV2: Sandler et al. 2018, width 1.0."""

from emu.models.model import Model
from emu.models.zoo.convolution import batch_norm, classifier, conv
from emu.models.zoo.draft import Draft

# Expansion, channels, blocks and the stride of the first block: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(*, batch: int = 1, image: int = 224, classes: int = 1000) -> Model:
    """MobileNetV2 with batch normalisation and Relu6 (as Clip) kept as nodes."""
    draft = Draft("mobilenet_v2")
    draft.number("zero", 0.0)
    draft.number("six", 6.0)
    x = draft.input("image", (batch, 3, image, image))
    x, before = _conv_bn_clip(draft, "stem", x, (3, 32), 3, 2), 32
    for stage, (expansion, channels, blocks, first_stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            name = f"stage{stage}.{block}"
            x = _inverted_residual(draft, name, x, (before, channels), expansion, stride)
            before = channels
    x = _conv_bn_clip(draft, "head", x, (before, 1280), 1)
    classifier(draft, x, 1280, classes)
    return draft.finish({"logits": (batch, classes)})


def _inverted_residual(
    draft: Draft, name: str, x: str, channels: tuple[int, int], expansion: int, stride: int
) -> str:
    before, after = channels
    inner, y = before * expansion, x
    if expansion != 1:
        y = _conv_bn_clip(draft, f"{name}.expand", y, (before, inner), 1)
    y = _conv_bn_clip(draft, f"{name}.depth", y, (inner, inner), 3, stride, group=inner)
    y = conv(draft, f"{name}.project.conv", y, (inner, after), 1)
    joins = stride == 1 and before == after
    y = batch_norm(draft, f"{name}.project.bn", y, after, gamma=0.5 if joins else 1.0)
    return draft.node("Add", f"{name}.add", x, y) if joins else y


def _conv_bn_clip(
    draft: Draft,
    name: str,
    x: str,
    channels: tuple[int, int],
    kernel: int,
    stride: int = 1,
    group: int = 1,
) -> str:
    y = conv(draft, f"{name}.conv", x, channels, kernel, stride, group)
    y = batch_norm(draft, f"{name}.bn", y, channels[1])
    return draft.node("Clip", f"{name}.clip", y, "zero", "six")
