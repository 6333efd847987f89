"""The named array models against what the simulators they stand for report, layer by layer."""

import csv
from pathlib import Path

import pytest

from emu.devices.arrays import FORMULAS, check_array_model
from emu.ir.errors import UnknownName
from emu.pipeline import compile

FILE = Path(__file__).parent / "data" / "resnet50_cycles.csv"
TOTALS = {
    "scalesim-ws": 916_490,
    "scalesim-os": 645_320,
    "scalesim-is": 1_070_450,
    "onnxim-ws": 426_939,
}


def rows() -> list[dict[str, str]]:
    lines = (line for line in FILE.read_text().splitlines() if not line.startswith("#"))
    return list(csv.DictReader(lines))


@pytest.mark.parametrize("model", ["scalesim-ws", "scalesim-os"])
def test_every_layer_takes_the_cycles_that_the_simulator_reports(model: str) -> None:
    for row in rows():
        m, n, k = (int(row[key]) for key in "MNK")
        reported = int(row[model.replace("-", "_")])
        assert FORMULAS[model](m, n, k, 128, 128) == reported, row["layer"]


@pytest.mark.parametrize("model", sorted(TOTALS))
def test_formula_totals_over_the_54_layers(model: str) -> None:
    cycles: list[int] = []
    for row in rows():
        m, n, k = (int(row[key]) for key in "MNK")
        cycles.append(FORMULAS[model](m, n, k, 128, 128))

    assert len(cycles) == 54
    assert sum(cycles) == TOTALS[model]


@pytest.mark.parametrize("model", ["scalesim-ws", "scalesim-os", "scalesim-is"])
@pytest.mark.parametrize("fusion", ["none", "vertical"])
def test_a_whole_run_holds_the_array_for_these_cycles_however_it_is_tiled(
    model: str, fusion: str
) -> None:
    run = compile("resnet50", device="systolic", fusion=fusion, array_model=model).compiled

    held = [launch.did.array_cycles for launch in run.trace.launches if launch.did.array_cycles]
    assert sum(held) == TOTALS[model]
    if model in ("scalesim-ws", "scalesim-os"):
        column = model.replace("-", "_")
        assert sorted(held) == sorted(int(row[column]) for row in rows())


def test_an_unknown_array_model_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'scalesim-ws'"):
        check_array_model("scalsim-ws")
