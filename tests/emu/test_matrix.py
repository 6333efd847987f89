"""Every model of the zoo, small, on every device in every scope: the values are onnxruntime's."""

import pytest

from emu.models.zoo import BUILDERS
from emu.pipeline import compile
from tests.emu.cases import DEVICES, SCOPES

SMALL: dict[str, dict[str, int]] = {
    "resnet50": {"image": 64},
    "mobilenet_v2": {"image": 64},
    "unet": {"image": 32, "width": 8},
    "bert_layer": {"seq": 32},
    "bert_base": {"layers": 1, "seq": 16},
    "bert_large": {"layers": 1, "seq": 16},
    "gpt2": {"layers": 1, "seq": 16},
    "vit_b16": {"layers": 1, "image": 32},
    "attention": {"seq": 64},
    "conv_block": {"image": 14, "channels": 64},
    "mlp": {},
    "diamond": {},
    "halo_chain": {"image": 14, "channels": 32, "layers": 2},
    "wide_chain": {"rows": 96, "width": 96},
    "few_rows": {},
    "decoder": {"layers": 1},
}


def test_no_model_of_the_zoo_is_left_out() -> None:
    assert set(SMALL) == set(BUILDERS)


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("device", DEVICES)
def test_values_are_right_in_every_scope_and_no_larger_scope_is_slower(
    model: str, device: str
) -> None:
    latencies: list[int] = []
    for fusion in SCOPES:
        run = compile(model, device=device, fusion=fusion, settings=SMALL[model]).run()
        assert run.check is not None
        assert run.check.ok, f"{fusion}: {run.check}"
        trace = run.compiled.trace
        assert sum(trace.ledger.values()) == trace.total_ps
        latencies.append(trace.total_ps)

    assert latencies[3] <= latencies[2]
