"""Single ops on a real GPU: as kernels and as calls."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional

from benches.gpu.timers import DEVICE, HALF, kernel_us, wall_us

FROM_DRAM = "graph of kernels, operands in turn"
OPS: list[dict[str, object]] = []


def op(
    name: str, shape: str, call: Callable[..., Any], *sizes: tuple[int, ...], dtype: str = "fp16"
) -> None:
    """Keep the kernel time, from DRAM and as it comes, and the wall clock of one op."""
    bytes_ = sum(2 * math.prod(size) for size in sizes)
    sets = min(24, max(1, math.ceil(160e6 / bytes_)))
    works = []
    for _ in range(sets):
        tensors = [torch.randn(*size, device="cuda", dtype=HALF) for size in sizes]
        works.append(lambda tensors=tensors: call(*tensors))
    timers = {
        FROM_DRAM: lambda: kernel_us(*works),
        "graph of kernels, same operands": lambda: kernel_us(works[0]),
        "wall": lambda: wall_us(works[0]),
    }
    for method, timer in timers.items():
        us = timer()
        OPS.append(
            {
                "op": name,
                "dtype": dtype,
                "shape": shape,
                "device": DEVICE,
                "time_us": us,
                "method": method,
            }
        )
        print(f"{name} {shape} {method[-8:]} {us:.2f}", flush=True)


def shapes() -> Iterator[tuple[int, int, int]]:
    """Products to measure: squares, and tall, wide and thin ones."""
    for n in (256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192):
        yield n, n, n
    for m in (16, 64, 256, 1024, 4096):
        yield m, 12288, 12288
    for n in (64, 256, 1024):
        yield 8192, n, n
    for m in (1, 128, 512, 2048):
        for n, k in ((12288, 4096), (4096, 4096), (22016, 4096), (4096, 11008)):
            yield m, n, k
    yield from ((1024, 10240, 5120), (2048, 5120, 6144), (4096, 1024, 8192), (512, 512, 16384))


CONVOLUTIONS = (  # of ResNet-50: channels, features, size, kernel, stride
    (3, 64, 224, 7, 2),
    (64, 64, 56, 3, 1),
    (256, 64, 56, 1, 1),
    (128, 128, 28, 3, 1),
    (256, 256, 14, 3, 1),
    (1024, 256, 14, 1, 1),
    (512, 512, 7, 3, 1),
    (512, 2048, 7, 1, 1),
)


def convolution(x: torch.Tensor, w: torch.Tensor, stride: int) -> torch.Tensor:
    """Convolve what lies as NHWC, without a copy."""
    pad = w.shape[1] // 2
    return functional.conv2d(x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), None, stride, pad)


def ops() -> None:
    """Single ops: products, convolutions, rows, elements."""
    for m, n, k in shapes():
        op("matmul", f"M={m} N={n} K={k}", torch.matmul, (m, k), (k, n))
    for b, m, n, k in ((96, 2048, 2048, 128), (96, 2048, 128, 2048), (768, 1, 3072, 128)):
        op("batched matmul", f"B={b} M={m} N={n} K={k}", torch.bmm, (b, m, k), (b, k, n))
    for batch in (1, 32):
        for channels, features, size, kernel, stride in CONVOLUTIONS:
            op(
                "conv",
                f"B={batch} C={channels} O={features} H={size} K={kernel} S={stride}",
                lambda x, w, stride=stride: convolution(x, w, stride),
                (batch, size, size, channels),
                (features, kernel, kernel, channels),
            )
    for m, n in ((4096, 128), (4096, 1024), (4096, 8192), (4096, 32768), (64, 4096), (16384, 4096)):
        op("softmax", f"M={m} N={n}", lambda x: torch.softmax(x, 1), (m, n))
        op(
            "layernorm",
            f"M={m} N={n}",
            lambda x, g, n=n: functional.layer_norm(x, (n,), g),
            (m, n),
            (n,),
        )
    for e in (10, 14, 18, 22, 26, 28):
        op("gelu", f"N={2**e}", functional.gelu, (2**e,))
        op("add", f"N={2**e}", torch.add, (2**e,), (2**e,))
        op("relu", f"N={2**e}", torch.relu, (2**e,))
    for b, h, t, d in ((1, 16, 384, 64), (8, 16, 384, 64), (4, 32, 2048, 128)):
        q = (b, h, t, d)
        op(
            "attention",
            f"B={b} H={h} S={t} D={d}",
            functional.scaled_dot_product_attention,
            q,
            q,
            q,
        )
        op(
            "attention, one op after another",
            f"B={b} H={h} S={t} D={d}",
            lambda q, k, v: torch.softmax(q @ k.transpose(2, 3) * 0.125, 3) @ v,
            q,
            q,
            q,
        )
