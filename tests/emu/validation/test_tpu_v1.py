"""The apps of TPU v1: stand-ins of the published sums, in eight bits, and counters of the array."""

import json
from pathlib import Path

import numpy as np
import pytest

from emu.cli import main
from emu.devices.datasheet import device_names
from emu.devices.holds import Hold
from emu.devices.make import make_device
from emu.dtype import in_dtype
from emu.dump import Watch
from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import BadValues
from emu.ir.types import Array
from emu.models.reader import to_graph
from emu.validation.cases import Case, cases_of
from emu.validation.counters import active_ps, counters, shifting_ps, stalled_ps
from emu.validation.price import counted, predict
from emu.validation.rows import package_rows, read_rows
from emu.validation.workloads import model_of, narrow_borders

HEAD = "app,layers,weights_M,batch,ops_per_weight_byte,TOPS_measured_of_92,source"
APPS = {case.what.partition(",")[0]: case for case in cases_of(package_rows(), device_names())}


def app(name: str) -> Case:
    return APPS[name]


def test_stand_ins_have_the_published_layers_in_whole_tiles_of_the_array() -> None:
    assert app("MLP0").workload == ("fc_chain", (5, 2048, 200))
    assert app("LSTM0").workload == ("lstm_chain", (6, 1024, 64))
    assert app("CNN0").workload == ("conv_chain", (16, 256, 8, 19))
    weights = 6 * 4 * 2048 * 1024  # four gates a cell
    assert weights / 52e6 == pytest.approx(1, abs=0.1)
    assert app("LSTM0").measured_ps == pytest.approx(2 * weights * 64 / 3.7)


@pytest.mark.parametrize("name", ["MLP0", "LSTM0", "CNN0"])
def test_the_rates_of_the_apps_are_met_within_a_fifth(name: str) -> None:
    case = app(name)
    assert predict(case).ps / case.measured_ps == pytest.approx(1, abs=0.2)
    found, measured = counted(case), dict(case.counters)
    for counter in ("array active", "weight shift"):
        assert found[counter] == pytest.approx(measured[counter], abs=10)
    assert sum(found.values()) == pytest.approx(100)
    # What LSTM0 and MLP0 do beside products (docs/validate.md) counts as waiting for weights.
    over = {"MLP0": 10.5, "LSTM0": 16.5, "CNN0": 1.0}[name]
    assert 0 <= found["weight stall"] - measured["weight stall"] <= over


def test_counters_of_events_by_hand() -> None:
    def held(resource: str, start: int, end: int, cause: str, weights: bool = False) -> Hold:
        return Hold(resource, 0, start, end, {(0, cause): end - start}, weights=weights)

    holds = (
        held("load", 0, 10, "compulsory", weights=True),
        held("load", 10, 14, "compulsory"),
        held("load", 14, 40, "compulsory", weights=True),
        held("weight shift", 3, 5, "fill_drain"),
        held("matrix unit", 5, 8, "useful"),
        held("weight shift", 16, 20, "fill_drain"),
        held("matrix unit", 20, 30, "padding"),
        held("weight shift", 22, 26, "fill_drain"),  # behind the rows
        Hold("matrix unit", 0, 32, 38, {(0, "useful"): 2, (0, "fill_drain"): 4}),
        held("vector unit", 38, 50, "useful"),
    )
    assert active_ps(holds) == 3 + 10 + 2
    # 0 to 3 and 8 to 10 of the first weights, 14 to 16 of the second; at 30 the array waits for
    # something else, since its weights were there before.
    assert stalled_ps(holds) == 3 + 2 + 2
    assert shifting_ps(holds) == 2 + 4 + 4  # the last inside of a product of several folds
    assert counters(holds, 60)["non-matrix"] == 60 - (15 + 7 + 10)


def test_borders_are_of_eight_bits() -> None:
    case = app("MLP0")
    assert case.workload is not None
    graph = to_graph(model_of(case.workload), {})
    assert {graph.types[v].dtype for v in (*graph.inputs, *graph.outputs)} == {"f32"}
    priced = predict(case)
    moved = 5 * 2048**2 + 2 * 200 * 2048  # weights, input and output, a byte each
    assert priced.ledger is not None
    assert priced.ledger["intermediate"] == 0
    assert priced.ps * 34e9 / 1e12 == pytest.approx(moved, rel=0.05)


def test_a_cell_computes_the_equations_of_an_lstm() -> None:
    rng = np.random.default_rng(0)
    model = model_of(("lstm_chain", (1, 2, 3)))
    values = {n: rng.standard_normal((3, 2), np.float32) for n in ("x", "own0", "state0")}
    found = onnxruntime_outputs(model, values)
    read = np.concatenate([values["x"], values["own0"]], axis=1)

    def gate(name: str) -> Array:
        return np.asarray(read @ model.weights[f"{name}0.weight"].load())

    def sigmoid(x: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-x)))

    state = sigmoid(gate("forget")) * values["state0"] + sigmoid(gate("in")) * np.tanh(gate("new"))
    np.testing.assert_allclose(found["next_state0"], state, rtol=1e-5)
    output = sigmoid(gate("out")) * np.tanh(state)
    np.testing.assert_allclose(found["next0"], output, rtol=1e-5)


def test_states_that_no_product_reads_come_in_eight_bits_as_well() -> None:
    graph = to_graph(model_of(("lstm_chain", (2, 256, 8))), {})
    chip = make_device("tpu_v1")
    narrow = narrow_borders(in_dtype(graph, "int8", chip, Watch(), None))
    assert len(narrow.inputs) == len(graph.inputs) == 5
    assert {narrow.types[v].dtype for v in (*narrow.inputs, *narrow.outputs)} == {"i8"}


def test_json_has_a_row_for_each_counter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--device", "tpu_v1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["counters"]
    assert [(row["what"], row["counter"]) for row in found][:2] == [
        ("MLP0, batch 200", "array active"),
        ("MLP0, batch 200", "weight stall"),
    ]
    assert len(found) == 12
    assert all(row["error"] == pytest.approx(row["predicted"] - row["measured"]) for row in found)


def rows(tmp_path: Path, head: str, line: str) -> tuple[Case, ...]:
    path = tmp_path / "mine.csv"
    path.write_text(f"{head}\n{line}\n")
    return cases_of(read_rows(path), device_names())


def test_counters_are_optional_and_shares(tmp_path: Path) -> None:
    line = "MLP9,1 FC,1,8,8,5.0,my own bench"
    (case,) = rows(tmp_path, HEAD, line)
    assert case.counters == ()
    (case,) = rows(tmp_path, f"{HEAD},array_active_pct", f"{line},0")
    assert case.counters == (("array active", 0.0),)
    for wrong in ("101", "-1", "x"):
        with pytest.raises(BadValues, match="array_active_pct: must be a number from 0 to 100"):
            rows(tmp_path, f"{HEAD},array_active_pct", f"{line},{wrong}")
    (case,) = rows(tmp_path, HEAD, line.replace("FC", "gates"))
    assert case.never == "its layers are neither FC nor conv"
    (case,) = rows(tmp_path, HEAD, line.replace("1 FC", "6 FC + 3 vector"))
    assert case.never == "its 6 layers are not the 4 gates of LSTM cells"
