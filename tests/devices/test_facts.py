"""Single facts of a datasheet by key: changed, listed, and refused where there is no such key."""

import pytest

from emu.devices.datasheet import datasheet_figures, load_datasheet
from emu.devices.facts import parse_changes, parse_fact
from emu.ir.errors import BadOption, DatasheetError


def test_a_fact_of_a_block_and_of_a_unit_can_be_another() -> None:
    changes = parse_changes(
        ("compute.clock_mhz=700", "compute.units.matrix.flops_per_cycle_per_core.f32=1024")
    )
    sheet = load_datasheet("a100_sxm80", changes)
    matrix = sheet.unit("matrix")

    assert sheet.compute.clock_mhz == 700
    assert matrix is not None
    assert matrix.flops_per_cycle_per_core["f32"] == 1024
    assert load_datasheet("a100_sxm80").compute.clock_mhz == 1410


def test_every_figure_that_is_listed_can_be_set_to_itself() -> None:
    for name in ("gpu", "a100_sxm80", "tpu_v4", "warboy"):
        figures = tuple(datasheet_figures(name).items())
        assert load_datasheet(name, figures) == load_datasheet(name)


def test_a_figure_is_a_whole_number_a_number_or_a_text() -> None:
    assert [parse_fact(text) for text in ("3", "2.5", "nhwc")] == [3, 2.5, "nhwc"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("compute.clok_mhz=3", "compute.clok_mhz: unknown key; did you mean 'clock_mhz'?"),
        ("compute.units.matrx.rows=3", "no unit 'matrx'; did you mean 'matrix'?"),
        ("memroy.dram.latency_ns=3", "no block 'memroy'; did you mean 'memory'?"),
        ("memory.dram.latency_ns=-3", "memory.dram.latency_ns: must be a number over 0, not -3"),
    ],
)
def test_a_key_or_figure_that_cannot_be_is_refused_by_name(change: str, said: str) -> None:
    with pytest.raises(DatasheetError) as refused:
        load_datasheet("gpu", parse_changes((change,)))
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["compute.clock_mhz", "=3", "compute.clock_mhz="])
def test_a_change_needs_a_key_and_a_figure(text: str) -> None:
    with pytest.raises(BadOption, match="must be KEY=VALUE"):
        parse_changes((text,))
