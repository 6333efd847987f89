"""What a call and a copy cost the host of a real GPU."""

import torch

from benches.gpu.timers import HALF, fact, kernel_us, stream_us, wall_us


def dispatch() -> None:
    """What a call costs the host."""
    x = torch.randn(1024, device="cuda", dtype=HALF)
    w = torch.randn(64, 64, device="cuda", dtype=HALF)
    conv = torch.nn.Conv2d(8, 8, 3, padding=1).cuda().half().eval()
    image = torch.randn(1, 8, 8, 8, device="cuda", dtype=HALF)
    bn = torch.nn.BatchNorm2d(8).cuda().half().eval()
    linear = torch.nn.Linear(64, 64).cuda().half()
    norm = torch.nn.LayerNorm(64).cuda().half()
    copies()
    with torch.no_grad():
        for name, work in {
            "relu": lambda: torch.relu(x),
            "add": lambda: x + x,
            "matmul": lambda: w @ w,
            "conv module": lambda: conv(image),
            "batch norm module": lambda: bn(image),
            "linear module": lambda: linear(w),
            "layer norm module": lambda: norm(w),
            "view": lambda: x.view(32, 32),
        }.items():
            fact(f"eager stream of {name}", stream_us(work), "us/call")
        fact("graph replay of add", kernel_us(lambda: x + x), "us/kernel")
        compiled = torch.compile(lambda t: t + 1)
        fact("compiled call of add, stream", stream_us(lambda: compiled(x)), "us/call")
        fact("compiled call of add, wall", wall_us(lambda: compiled(x)), "us/call")
        fact("eager call of add, wall", wall_us(lambda: x + x), "us/call")


def copies() -> None:
    """What copies over the link take."""
    host = torch.empty(2**26, dtype=torch.uint8).pin_memory()
    there = torch.empty(2**26, dtype=torch.uint8, device="cuda")
    fact("pinned host to device", 2**26 / wall_us(lambda: there.copy_(host)) * 1e6, "byte/s")
    fact("pinned device to host", 2**26 / wall_us(lambda: host.copy_(there)) * 1e6, "byte/s")
    pageable = torch.empty(2**26, dtype=torch.uint8)
    fact("pageable host to device", 2**26 / wall_us(lambda: there.copy_(pageable)) * 1e6, "byte/s")
    fact("pageable device to host", 2**26 / wall_us(lambda: pageable.copy_(there)) * 1e6, "byte/s")
    tiny_host, tiny = torch.zeros(4), torch.zeros(4, device="cuda")
    fact("16 bytes host to device", wall_us(lambda: tiny.copy_(tiny_host)), "us")
    fact("16 bytes device to host", wall_us(lambda: tiny_host.copy_(tiny)), "us")
    fact("reading one number back", wall_us(lambda: tiny[0].item()), "us")
