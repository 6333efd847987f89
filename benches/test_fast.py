"""How fast the default executor computes values; 1 image, f32."""

from typing import Any

import numpy as np

from emu.ir.body import FrozenAttrs
from emu.ir.types import Array
from emu.kernels.fast import fast_op

Layer = tuple[FrozenAttrs, Array, Array]
# (width of the bottleneck, output height, blocks) of the four stages of ResNet-50 v1.5.
STAGES = ((64, 56, 3), (128, 28, 4), (256, 14, 6), (512, 7, 3))
# (channels, height, stride, times) of the depthwise convs of MobileNet-v2.
DEPTHWISE = (
    (32, 112, 1, 1),
    (96, 112, 2, 1),
    (144, 56, 1, 1),
    (144, 56, 2, 1),
    (192, 28, 1, 2),
    (192, 28, 2, 1),
    (384, 14, 1, 4),
    (576, 14, 1, 2),
    (576, 14, 2, 1),
    (960, 7, 1, 3),
)


def made(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def layer(c: int, height: int, m: int, kernel: int, stride: int = 1, group: int = 1) -> Layer:
    attrs = (
        ("group", group),
        ("pads", (kernel // 2,) * 4),
        ("strides", (stride, stride)),
    )
    return attrs, made(1, c, height, height), made(m, c // group, kernel, kernel)


def resnet50() -> list[Layer]:
    layers, channels, height = [layer(3, 224, 64, 7, 2)], 64, 56
    for width, out, blocks in STAGES:
        for block in range(blocks):
            stride = height // out
            layers.append(layer(channels, height, width, 1))
            layers.append(layer(width, height, width, 3, stride))
            layers.append(layer(width, out, 4 * width, 1))
            if block == 0:
                layers.append(layer(channels, height, 4 * width, 1, stride))
            channels, height = 4 * width, out
    return layers


def run(layers: list[Layer]) -> None:
    for attrs, x, w in layers:
        fast_op("Conv", attrs, [x, w])


def test_the_53_convs_of_resnet50(benchmark: Any) -> None:
    layers = resnet50()
    assert len(layers) == 53
    benchmark(run, layers)


def test_the_17_depthwise_convs_of_mobilenet_v2(benchmark: Any) -> None:
    layers = [
        layer(c, height, c, 3, stride, group=c)
        for c, height, stride, times in DEPTHWISE
        for _ in range(times)
    ]
    assert len(layers) == 17
    benchmark(run, layers)


def test_gelu_of_a_bert_layer(benchmark: Any) -> None:
    (found,) = benchmark(fast_op, "Gelu", (), [made(128, 3072)])
    assert found.shape == (128, 3072)
