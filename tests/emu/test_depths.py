"""The second dial: on the same chip a deeper library is faster, by much or by little."""

from itertools import pairwise

import pytest

from emu.devices.make import make_device
from emu.kernels.libraries import DEPTHS
from emu.pipeline import compile
from emu.select import Selector
from tests.emu.cases import DEVICES, compiled

NAMES = [library.name for library in DEPTHS]
ALONE = 1.03  # what the weights that a launch before leaves time to load may be worth
MODELS = ["conv_block", "diamond", "mlp"]


def total_ps(model: str, device: str, fusion: str, kernels: str) -> int:
    return compiled(model, device, fusion, kernels).compiled.trace.total_ps


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fusion", ["none", "vertical"])
@pytest.mark.parametrize("model", MODELS)
def test_no_depth_is_slower_than_reference_and_vendor_is_no_slower_than_deep(
    model: str, fusion: str, device: str
) -> None:
    """By more than ALONE: a tiling is the fastest alone on the chip, and not always in a run.

    A run can load the first weights of a product, and shift them in, while another is at work.
    """
    times = {kernels: total_ps(model, device, fusion, kernels) for kernels in NAMES}
    allowed = 1 if device == "gpu" else ALONE
    assert times["vendor"] <= times["deep"] * allowed
    assert max(times.values()) <= times["reference"] * allowed
    assert times["vendor"] < times["reference"] * allowed


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", MODELS)
def test_what_a_library_chooses_from_is_never_slower_alone_than_what_a_shallower_one_has(
    model: str, device: str
) -> None:
    """Exactly so, launch by launch, on as many cores: by that price tiles are chosen."""
    chip, groups = make_device(device), compiled(model, device, "none", "reference").compiled.fused
    alone: list[list[int]] = []
    for library in DEPTHS:
        made = Selector(chip, library, chip.machine.cores).schedule(groups)
        alone.append([chip.price(b.program) for b in made.bindings if b.program is not None])
    for shallow, deep in pairwise(alone):
        assert all(d <= s for s, d in zip(shallow, deep, strict=True))


@pytest.mark.parametrize(
    ("model", "device", "least", "most"),
    [
        ("mlp", "npu", 1.1, 1.4),  # bound by weights, which every stack loads once
        ("attention", "systolic", 1.2, 2.5),
        ("conv_block", "npu", 3.8, 8.0),  # halos of small tiles against one chain on chip
        ("mlp", "gpu", 3.8, 8.0),  # one row: too few bytes in flight against deep pipelines
    ],
)
def test_stacks_differ_by_little_or_much_without_a_host(
    model: str, device: str, least: float, most: float
) -> None:
    slow = compile(model, device=device, fusion="none", kernels="reference").compiled
    fast = compile(model, device=device, fusion="global", kernels="vendor").compiled

    assert least <= slow.trace.total_ps / fast.trace.total_ps <= most
    for made in (slow, fast):
        assert all(binding.coverage != "host" for binding in made.schedule.bindings)
