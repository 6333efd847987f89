"""Small runs that meet every kernel of every library on every kind of device, and commands."""

from collections.abc import Callable
from functools import lru_cache

from emu.pipeline import Executable, compile

Call = Callable[..., tuple[int, str, str]]  # arguments: exit code, output, complaints
SETTINGS: dict[str, dict[str, int]] = {
    "conv_block": {"image": 14, "channels": 64},
    "diamond": {},
    "mlp": {},
    "attention": {"seq": 96},
    "bert_layer": {"seq": 32},
    "gpt2": {"layers": 1, "seq": 16},
    "unet": {"image": 16, "width": 4},
    "mobilenet_v2": {},
}
DEVICES = ("gpu", "systolic", "npu")
SCOPES = ("none", "pattern", "vertical", "global")


@lru_cache(maxsize=64)
def compiled(model: str, device: str, fusion: str, kernels: str = "deep") -> Executable:
    """Compile a small form of a zoo model; equal ones once."""
    return compile(model, device=device, fusion=fusion, kernels=kernels, settings=SETTINGS[model])
