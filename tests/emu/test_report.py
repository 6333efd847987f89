"""The report: every figure of a run in text that fits a terminal and pastes into Markdown."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from emu.ir.trace import CAUSES, MEANING, Trace
from emu.report import report
from emu.run import Run
from emu.table import COLUMNS, plain
from tests.emu import by_hand
from tests.emu.cases import DEVICES, compiled


def priced(model: str, device: str, fusion: str) -> Run:
    return Run(compiled(model, device, fusion).compiled, None, None, None)


def tables(text: str) -> list[list[str]]:
    """The tables in a report, each as its lines."""
    blocks = [block.splitlines() for block in text.split("\n\n")]
    return [block for block in blocks if block[0].startswith("|")]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_run_made_by_hand_is_reported_whole(golden: Callable[[str], None]) -> None:
    golden(report(by_hand.run()))


def test_a_run_that_is_only_priced_says_that_it_has_no_values() -> None:
    unchecked = replace(by_hand.run(), check=None)
    assert "not computed" in report(replace(unchecked, outputs=None))
    assert "computed, not checked" in report(unchecked)


@pytest.mark.parametrize("error", [2e-4, float("inf"), float("nan")])
def test_wrong_values_cannot_be_overlooked(error: float) -> None:
    assert "NOT as onnxruntime" in report(by_hand.run(error))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["conv_block", "bert_layer"])
def test_every_line_fits_a_terminal_of_80_columns(model: str, device: str) -> None:
    text = report(priced(model, device, "global"))
    assert [line for line in text.splitlines() if len(line) > COLUMNS] == []


def test_a_run_of_hours_on_a_huge_model_fits_80_columns_too() -> None:
    run = by_hand.run()
    launches = [
        replace(launch, charges={key: ps * 10**7 for key, ps in launch.charges.items()})
        for launch in run.compiled.trace.launches
    ]
    long = replace(run.compiled.trace, total_ps=10**14, launches=tuple(launches))
    text = report(replace(run, compiled=replace(run.compiled, trace=long)))
    assert "100,000,000.000 us" in text
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_tables_are_markdown_with_as_many_cells_in_every_line() -> None:
    ledger, groups = tables(report(by_hand.run()))
    for table in (ledger, groups):
        assert len({line.count("|") for line in table}) == 1
        assert set(table[1]) <= set("|-:")


def test_the_ledger_shows_charged_causes_in_their_order_and_sums_them() -> None:
    ledger, _ = tables(report(by_hand.run()))
    causes = [cells(line)[0] for line in ledger[2:]]
    charged = {cause for charges in by_hand.CHARGES for _, cause in charges}
    assert causes == [*(cause for cause in CAUSES if cause in charged), "sum"]
    assert cells(ledger[-1])[1:3] == ["10.000", "100.0%"]


def test_the_bar_of_the_largest_cause_is_the_longest_and_none_is_empty() -> None:
    ledger, _ = tables(report(by_hand.run()))
    bars = {cells(line)[0]: len(cells(line)[3]) for line in ledger[2:-1]}
    assert max(bars, key=lambda cause: bars[cause]) == "link"
    assert min(bars.values()) == 1


def test_the_costliest_groups_come_first_and_ten_at_most() -> None:
    _, groups, *_ = tables(report(priced("mobilenet_v2", "gpu", "none")))
    shares = [float(cells(line)[4].rstrip("%")) for line in groups[2:]]
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)


def test_a_run_in_which_nothing_happens_is_still_reported() -> None:
    run = by_hand.run()
    empty = replace(run.compiled, schedule=replace(run.compiled.schedule, bindings=()))
    text = report(replace(run, compiled=replace(empty, trace=Trace(0, (), 0))))
    assert "0.000 us" in text


def test_names_of_a_model_cannot_break_a_line_a_table_or_a_terminal() -> None:
    assert plain("a|b\nc\x1b[31md é") == "a?b?c?[31md é"


def test_every_cause_has_a_meaning_that_fits_the_table() -> None:
    assert tuple(MEANING) == CAUSES
    assert max(map(len, MEANING.values())) <= 29
