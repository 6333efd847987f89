"""Latencies of whole models on a real GPU, with random weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torchvision
from transformers import BertConfig, BertModel

from benches.gpu.timers import DEVICE, HALF, capture, wall_us

MODELS: list[dict[str, object]] = []
LAST = torch.channels_last


def model(name: str, size: int, batch: int, stack: str, work: Callable[[], Any]) -> None:
    """Keep the latency of a batch, with synchronisation."""
    us = wall_us(work, 10)
    MODELS.append(
        {
            "model": name,
            "seq_or_res": size,
            "batch": batch,
            "device": DEVICE,
            "stack": stack,
            "throughput_per_s": batch / us * 1e6,
            "latency_avg_ms": us / 1e3,
        }
    )
    print(f"{name} {size} batch {batch} {stack}: {us / 1e3:.3f} ms", flush=True)


def models() -> None:
    """ResNet-50 and BERT-large."""
    with torch.no_grad():
        resnet50()
        bert_large()


def resnet50() -> None:
    """Op by op in three forms, and replayed as a graph."""
    net = torchvision.models.resnet50().eval().cuda()
    forms = (
        ("FP32", torch.float32, torch.contiguous_format),
        ("FP16", HALF, torch.contiguous_format),
        ("FP16 channels last", HALF, LAST),
    )
    for form, dtype, lies in forms:
        net = net.to(dtype=dtype, memory_format=lies)
        for batch in (1, 8, 64, 256):
            x = torch.randn(batch, 3, 224, 224, device="cuda", dtype=dtype).to(memory_format=lies)
            call = partial(net, x)
            model("ResNet-50", 224, batch, f"PyTorch eager {form}", call)
            if lies is LAST and batch in (1, 64):
                model("ResNet-50", 224, batch, f"PyTorch {form}, CUDA graph", capture(call))


def bert_large() -> None:
    """Op by op and compiled, each as calls and replayed as a graph."""
    config = BertConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        attn_implementation="eager",
    )
    bert = BertModel(config).eval().cuda().half()
    for name, net, batches in (
        ("PyTorch eager FP16", bert, (1, 8, 16)),
        ("torch.compile FP16", torch.compile(bert), (1, 8)),
    ):
        for batch in batches:
            ids = given(batch)
            model("BERT-large", 384, batch, name, lambda ids=ids, net=net: net(**ids))
            graph = capture(lambda ids=ids, net=net: net(**ids))
            model("BERT-large", 384, batch, f"{name.replace(' eager', '')}, CUDA graph", graph)


def given(batch: int) -> dict[str, torch.Tensor]:
    """Tokens with a mask of ones, all on the device."""
    ids = torch.randint(0, 30000, (batch, 384), device="cuda")
    return {
        "input_ids": ids,
        "attention_mask": torch.ones(batch, 1, 384, 384, device="cuda", dtype=HALF) * 0,
        "token_type_ids": torch.zeros_like(ids),
        "position_ids": torch.arange(384, device="cuda")[None],
    }
