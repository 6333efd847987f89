"""The ladder: every rung is the run that its stack alone gives, and all have the same values."""

import csv
import io
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emu.cli import main
from emu.flags import ModelFlags, Request, RungFlags
from emu.ir.errors import BadOption, EmuError, UnknownName, Unsupported, VerifyError
from emu.ir.fusion import SCOPES
from emu.kernels.libraries import DEPTHS
from emu.pipeline import compile
from emu.progress import progress
from emu.studies import ladder as climbing
from emu.studies import rungs
from emu.studies.ladder import climb
from emu.studies.ladder_report import ladder_csv, ladder_json, report
from emu.studies.rungs import Cell, Task
from tests.emu.cases import DEVICES

Call = Callable[..., tuple[int, str, str]]
KEYS = {"device", "fusion", "kernels", "latency_ps", "groups", "dram_bytes", "values_ok"}
CELLS = (
    Cell("gpu", "none", "basic", 3_000_000, 4, 2_000_000, True),
    Cell("gpu", "vertical", "basic", 2_000_000, 2, 1_000_000, True),
    Cell("npu", "none", "basic", refused="the npu has | no room"),
)


@pytest.fixture
def emu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command in this process alone, which is quicker for small models."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return call


def asked(model: str = "mlp", **stack: str) -> Request:
    return Request(model, ModelFlags(), replace(RungFlags(), **stack))


def unpriced(task: Task) -> tuple[Cell, ...]:
    stack = task.asked.stack
    return tuple(Cell(stack.device, scope, stack.kernels, 1, 1, 1) for scope in task.scopes)


def ended(task: Task) -> None:
    del task
    signal.raise_signal(signal.SIGKILL)


def test_a_ladder_has_every_scope_depth_and_device_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(climbing, "cells", unpriced)
    cells = climb(asked(device="all"), values=False, workers=1)

    places = [(cell.device, cell.fusion, cell.kernels) for cell in cells]
    depths = [library.name for library in DEPTHS]
    assert places == [(d, s, k) for d in sorted(DEVICES) for s in SCOPES for k in depths]
    assert len(places) == 75


def test_a_cell_is_what_its_stack_alone_gives() -> None:
    for cell in climb(asked(device="gpu,systolic", kernels="basic,deep"), values=False, workers=1):
        alone = compile("mlp", device=cell.device, fusion=cell.fusion, kernels=cell.kernels)
        trace = alone.compiled.trace
        assert cell.latency_ps == trace.total_ps
        assert cell.groups == len(alone.compiled.schedule.bindings)
        assert cell.dram_bytes == trace.did.traffic.total


def test_the_values_of_every_cell_are_those_of_one_reference() -> None:
    wanted = asked("diamond", device="all", fusion="none,global", kernels="basic,vendor")
    cells = climb(wanted, values=True, workers=1)
    assert {cell.values_ok for cell in cells} == {True}


def test_processes_give_the_same_cells_in_the_same_order() -> None:
    wanted = asked(device="gpu", fusion="none,vertical", kernels="reference,basic")
    assert climb(wanted, values=True, workers=2) == climb(wanted, values=True, workers=1)


def test_a_process_that_is_ended_is_short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climbing, "cells", ended)
    with pytest.raises(MemoryError):
        climb(asked(kernels="reference,basic"), values=False, workers=2)


def test_the_json_has_the_keys_of_its_schema(emu: Call) -> None:
    words = ["mlp", "-f", "none,vertical", "-k", "deep", "--no-values", "--json"]
    code, out, error = emu("ladder", *words)
    found = json.loads(out)

    assert (code, error) == (0, "")
    assert set(found) == {"schema", "model", "cells"}
    assert (found["schema"], found["model"]) == ("emu.ladder/1", "mlp")
    assert [set(cell) for cell in found["cells"]] == [KEYS, KEYS]
    assert all(type(cell["dram_bytes"]) is int for cell in found["cells"])
    assert {cell["values_ok"] for cell in found["cells"]} == {None}


def test_a_refused_cell_has_its_reason_and_no_numbers() -> None:
    found = ladder_json("m", CELLS)

    assert found["cells"][2]["latency_ps"] is None
    assert found["refused"] == [
        {"device": "npu", "fusion": "none", "kernels": "basic", "refused": "the npu has | no room"}
    ]
    text = report("m", CELLS)
    assert "m on npu: every cell is refused" in text
    assert "- none/basic: the npu has ? no room" in text


def test_factors_are_over_the_best_of_the_same_device() -> None:
    rows = [line for line in report("m", CELLS).splitlines() if "basic" in line and "|" in line]
    assert [row.split("|")[6].strip() for row in rows] == ["1.50x", "1.00x", "-"]


def test_the_csv_has_a_line_for_each_cell() -> None:
    head, *rows = csv.reader(io.StringIO(ladder_csv(CELLS)))

    assert set(head) == KEYS | {"factor", "refused"}
    assert rows[0] == ["gpu", "none", "basic", "3000000", "4", "2000000", "True", "1.5000", ""]
    assert rows[2][3:] == ["", "", "", "", "", "the npu has | no room"]


def test_csv_goes_to_a_file_beside_the_table_or_is_printed_instead(
    emu: Call, tmp_path: Path
) -> None:
    words = ["ladder", "mlp", "-f", "none", "--no-values", "--csv"]
    printed, written = emu(*words, "-"), emu(*words, str(tmp_path / "l.csv"))

    assert printed[0] == written[0] == 0
    assert (tmp_path / "l.csv").read_text() == printed[1]
    assert written[1].startswith("mlp on gpu: best ")


def test_the_tables_fit_80_columns(emu: Call) -> None:
    code, out, _ = emu("ladder", "bert_layer", "seq=16", "-k", "reference,deep", "--no-values")

    assert code == 0
    assert max(map(len, out.splitlines())) <= 80


def test_values_that_differ_are_an_error_after_the_table(
    emu: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object) -> bool:
        return False

    monkeypatch.setattr(rungs, "_is_equal", differ)
    code, out, error = emu("ladder", "mlp", "-f", "none", "-k", "basic,deep")

    assert code == 1
    assert out.count("NOT equal") == 2
    assert "not as onnxruntime's in gpu/none/basic, gpu/none/deep" in error


def test_what_one_stack_refuses_is_told_in_its_cell_and_what_all_refuse_is_an_error(
    emu: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["ladder", "mlp", "-d", "gpu,systolic", "-f", "none", "-k", "deep", "--no-values"]
    code, out, _ = emu(*words, "--array-model", "scalesim-ws")
    assert code == 0
    assert "device 'gpu' has no matrix array" in " ".join(out.split())

    code, out, error = emu(*words[:3], "gpu", *words[4:], "--array-model", "scalesim-ws")
    assert (code, error.count("\n")) == (4, 1)
    assert "every cell is refused, gpu/none/deep since" in error
    with pytest.raises(Unsupported, match="every cell is refused"):
        climbing.ladder(
            asked(device="gpu", fusion="none", array_model="scalesim-ws"),
            climbing.LadderFlags(False, None, False),
        )


def test_a_bug_of_a_pass_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise VerifyError("node 'a'")

    monkeypatch.setattr(rungs, "bring_down", broken)
    with pytest.raises(EmuError, match="node 'a'"):
        climb(asked(), values=False, workers=1)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ({"device": "gpu,npo"}, "did you mean 'npu'"),
        ({"fusion": "none,vertikal"}, "did you mean 'vertical'"),
        ({"kernels": "vender"}, "did you mean 'vendor'"),
        ({"decider": "gready"}, "did you mean 'greedy'"),
        ({"dtype": "fp31"}, "unknown dtype"),
        ({"passes": "fold-batchnorm"}, "did you mean 'fold-batch-norm'"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_compiled(
    stack: dict[str, str], message: str
) -> None:
    with pytest.raises(UnknownName, match=message):
        climb(asked(**stack), values=False, workers=1)


def test_an_axis_without_names_and_two_outputs_at_once_are_refused(emu: Call) -> None:
    with pytest.raises(BadOption, match="write all, or names"):
        climb(asked(fusion=" , "), values=False, workers=1)
    assert emu("ladder", "mlp", "--csv", "-", "--json")[0] == 2
    assert emu("ladder", "mlp", "--csv", "/")[0] == 2
    assert emu("ladder", "nlp")[0] == 2


def test_a_bar_moves_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, is_seen in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr("sys.stderr", stream)
        with progress("cells", 2) as step:
            step()
        assert ("cells" in stream.getvalue()) is is_seen
