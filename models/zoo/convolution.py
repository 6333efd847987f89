"""Pieces that convolutional models share."""

from emu.models.zoo.draft import Draft, Fill, fan_in

EPSILON = 1e-5


def conv(
    draft: Draft,
    name: str,
    x: str,
    channels: tuple[int, int],
    kernel: int,
    stride: int = 1,
    group: int = 1,
    bias: bool = False,
) -> str:
    """Square convolution from ``channels[0]`` to ``channels[1]`` that keeps the size / stride."""
    before, after = channels
    shape = (after, before // group, kernel, kernel)
    inputs = [x, draft.weight(f"{name}.weight", shape, fan_in(shape[1] * kernel**2, 2.0))]
    if bias:
        inputs.append(draft.weight(f"{name}.bias", (after,), Fill(0.0, 0.05)))
    return draft.node(
        "Conv",
        name,
        *inputs,
        kernel_shape=(kernel, kernel),
        strides=(stride, stride),
        pads=(kernel // 2,) * 4,
        group=group,
    )


def batch_norm(draft: Draft, name: str, x: str, channels: int, gamma: float = 1.0) -> str:
    """Inference-time batch normalisation whose scales lie around ``gamma``."""
    parts = (
        draft.weight(f"{name}.scale", (channels,), Fill(gamma, 0.1 * gamma)),
        draft.weight(f"{name}.bias", (channels,), Fill(0.0, 0.05)),
        draft.weight(f"{name}.mean", (channels,), Fill(0.0, 0.05)),
        draft.weight(f"{name}.var", (channels,), Fill(1.0, 0.1)),
    )
    return draft.node("BatchNormalization", name, x, *parts, epsilon=EPSILON)


def bottleneck(
    draft: Draft, name: str, x: str, channels: tuple[int, int, int], stride: int = 1
) -> str:
    """ResNet v1.5 block 1x1, 3x3 (with the stride), 1x1; a projection where the shape changes."""
    before, inner, after = channels
    y = _conv_bn_relu(draft, f"{name}.1", x, (before, inner), 1)
    y = _conv_bn_relu(draft, f"{name}.2", y, (inner, inner), 3, stride)
    y = conv(draft, f"{name}.conv3", y, (inner, after), 1)
    # A small last scale keeps the sum of many blocks of order one.
    y = batch_norm(draft, f"{name}.bn3", y, after, gamma=0.3)
    if stride != 1 or before != after:
        x = conv(draft, f"{name}.down.conv", x, (before, after), 1, stride)
        x = batch_norm(draft, f"{name}.down.bn", x, after, gamma=0.7)
    return draft.node("Relu", f"{name}.relu", draft.node("Add", f"{name}.add", y, x))


def _conv_bn_relu(
    draft: Draft, name: str, x: str, channels: tuple[int, int], kernel: int, stride: int = 1
) -> str:
    block, _, step = name.rpartition(".")
    y = conv(draft, f"{block}.conv{step}", x, channels, kernel, stride)
    y = batch_norm(draft, f"{block}.bn{step}", y, channels[1])
    return draft.node("Relu", f"{block}.relu{step}", y)


def classifier(draft: Draft, x: str, channels: int, classes: int) -> str:
    """Global average, flatten, one fully connected output ``logits``."""
    y = draft.node("GlobalAveragePool", "pool", x)
    y = draft.node("Flatten", "flatten", y, axis=1)
    weight = draft.weight("fc.weight", (classes, channels), fan_in(channels))
    bias = draft.weight("fc.bias", (classes,), Fill(0.0, 0.05))
    return draft.node("Gemm", "logits", y, weight, bias, transB=1)
