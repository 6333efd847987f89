"""The IR after each pass goes to stderr or to files, the times into a table."""

from pathlib import Path

import pytest

from emu.dump import Watch, time_table, watch
from emu.ir.errors import BadOption, UnknownName
from emu.ir.graph import Graph, Node
from emu.ir.text import print_graph
from emu.ir.types import TensorType

VECTOR = TensorType("f32", (2,))
RELU = Node("r", "Relu", ("x",), ("y",), source=("r",))
GRAPH = Graph("g", ("x",), ("y",), (RELU,), {"x": VECTOR, "y": VECTOR}, {})
PASSES = ("fold-constants", "fold-batch-norm")


def test_only_the_passes_asked_for_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    seen = watch(PASSES, after=["fold-constants"])
    for name in PASSES:
        seen(name, GRAPH, 0.5)
    printed = f"// -----// IR after fold-constants //----- //\n{print_graph(GRAPH)}\n\n"
    assert capsys.readouterr() == ("", printed)
    assert seen.timings == [(name, 0.5) for name in PASSES]


def test_all_passes_are_printed_if_so_asked(capsys: pytest.CaptureFixture[str]) -> None:
    seen = watch(PASSES, after_all=True)
    for name in PASSES:
        seen(name, GRAPH, 0.5)
    assert capsys.readouterr().err.count("IR after") == 2


def test_an_unknown_pass_is_refused_with_a_near_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'fold-batch-norm'"):
        watch(PASSES, after=["fold-batchnorm"])


def test_each_pass_gets_a_numbered_file_in_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ir"
    seen = watch(PASSES, folder=folder)
    seen("fold-constants", GRAPH, 0.1)
    seen.stage("read", 0.1)
    seen("../odd name", GRAPH, 0.1)
    names = ["01-fold-constants.mlir", "03-..-odd-name.mlir"]
    assert sorted(file.name for file in folder.iterdir()) == names
    assert (folder / names[0]).read_text("ascii") == print_graph(GRAPH) + "\n"


def test_a_file_in_the_way_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ir").touch()
    with pytest.raises(BadOption, match=r"--dump-ir: cannot write .*ir': File exists"):
        watch(PASSES, folder=tmp_path / "ir")


def test_a_file_that_cannot_be_written_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "01-p.mlir").mkdir()
    with pytest.raises(BadOption, match=r"01-p\.mlir"):
        watch(PASSES, folder=tmp_path)("p", GRAPH, 0.1)
    assert [file.name for file in tmp_path.iterdir()] == ["01-p.mlir"]


def test_text_that_nobody_wants_is_never_made() -> None:
    made: list[str] = []
    seen = Watch()
    seen.stage("select", 0.1, lambda: made.append("text") or "text")
    assert (made, seen.timings) == ([], [("select", 0.1)])


def test_the_table_gives_milliseconds_and_percentages() -> None:
    assert time_table([("read", 0.003), ("fold-batch-norm", 0.001)]) == [
        "pass                     ms      %",
        "read                  3.000   75.0",
        "fold-batch-norm       1.000   25.0",
        "total                 4.000  100.0",
    ]


def test_an_empty_table_has_a_total_of_nothing() -> None:
    assert time_table([])[-1].split() == ["total", "0.000", "0.0"]
