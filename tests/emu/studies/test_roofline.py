"""The roofline: no run is faster than its operations or its bytes allow, on any chip."""

import pytest

from emu.commands import Request
from emu.devices.datasheet import device_names
from emu.flags import ModelFlags, StackFlags
from emu.ir.errors import BadOption, Unsupported
from emu.pipeline import compile
from emu.studies.roofline import bounds_ps, roofline, roofline_row


@pytest.mark.parametrize("device", device_names())
def test_no_run_is_faster_than_its_roofline(device: str) -> None:
    for dtype in ("fp32", "fp16", "bf16", "int8"):
        try:
            compiled = compile("mlp", device=device, dtype=dtype).compiled
        except Unsupported:
            continue
        assert max(bounds_ps(compiled)) <= compiled.trace.total_ps * (1 + 1e-9)
        return
    pytest.fail(f"{device} runs mlp in no element type")


def test_a_row_says_what_bounds_the_run() -> None:
    row = roofline_row(compile("mlp", device="gpu").compiled)
    assert row[0] == "gpu"
    assert row[4] == "bytes"  # one image reads every weight once


def test_devices_have_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    roofline(Request("mlp", ModelFlags(), StackFlags(device="gpu,npu")))
    assert len(capsys.readouterr().out.splitlines()) == 4
    with pytest.raises(BadOption, match="write names with commas"):
        roofline(Request("mlp", ModelFlags(), StackFlags(device=",")))
