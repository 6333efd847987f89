"""ResNet-50 v1.5: He et al. 2015, with the stride in the 3x3 convolution."""

from emu.models.model import Model
from emu.models.zoo.convolution import batch_norm, bottleneck, classifier, conv
from emu.models.zoo.draft import Draft

STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks and inner channels of each stage


def resnet50(*, batch: int = 1, image: int = 224, classes: int = 1000) -> Model:
    """ResNet-50 v1.5 with batch normalisation kept as nodes: 175 nodes, 25.6 M parameters."""
    draft = Draft("resnet50")
    x = draft.input("image", (batch, 3, image, image))
    x = conv(draft, "conv1", x, (3, 64), 7, 2)
    x = draft.node("Relu", "relu1", batch_norm(draft, "bn1", x, 64))
    window = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}
    x = draft.node("MaxPool", "maxpool", x, **window)
    before = 64
    for stage, (blocks, inner) in enumerate(STAGES, start=1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            name = f"stage{stage}.{block}"
            x = bottleneck(draft, name, x, (before, inner, 4 * inner), stride)
            before = 4 * inner
    classifier(draft, x, before, classes)
    return draft.finish({"logits": (batch, classes)})
