"""Tunings on disk: what is kept, what wins, and what no file can make emu do."""

import sqlite3
import struct
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from emu.ir.errors import BadOption
from emu.kernels.tiling import Tiling
from emu.tuning.database import Key, Tuning, open_tunings

KEY = Key("generated.loops", "b0d1", "f32", "de71ce")
TILING = Tiling((1, 8), k=4, order=(1, 0), cores=2, depth=3, threads=64)
FOUND = Tuning(TILING, 1000, 16)


def filled(path: Path) -> Path:
    """A database with one tuning."""
    open_tunings(path, writable=True).keep(KEY, FOUND)
    return path


def refusal(path: Path, writable: bool = True) -> str:
    """The one line that says what is wrong, after a check that the file is as it was."""
    before = path.read_bytes()
    with pytest.raises(BadOption) as caught:
        open_tunings(path, writable, wait_s=0.05)
    assert path.read_bytes() == before
    assert caught.value.exit_code == 2
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    message = str(caught.value)
    assert message.startswith(f"--tuning-db {path}: ")
    assert "\n" not in message
    return message.removeprefix(f"--tuning-db {path}: ")


def test_what_is_kept_is_found_by_its_whole_key_only(tmp_path: Path) -> None:
    database = open_tunings(filled(tmp_path / "t.db"), writable=False)

    assert database.find(KEY) == FOUND
    for name in ("kernel", "body", "dtype", "device"):
        assert database.find(replace(KEY, **{name: "other"})) is None
    assert database.find(replace(KEY, format=2)) is None


def test_of_two_tunings_the_faster_stays_with_the_larger_number_of_trials(tmp_path: Path) -> None:
    database = open_tunings(filled(tmp_path / "t.db"), writable=True)

    slower = Tuning(replace(TILING, k=8), 1001, 64)
    database.keep(KEY, slower)
    assert database.find(KEY) == replace(FOUND, trials=64)
    faster = Tuning(replace(TILING, k=2), 999, 8)
    database.keep(KEY, faster)
    assert database.find(KEY) == replace(faster, trials=64)


def test_a_new_file_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "über #1?.db"
    database = open_tunings(path, writable=True)

    assert database.find(KEY) is None
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def keep_many(path: Path, first: int) -> None:
    """What each of two processes does at the same time."""
    for i in range(first, first + 20):
        open_tunings(path, writable=True).keep(replace(KEY, body=str(i % 30)), replace(FOUND, ps=i))


def test_two_processes_can_make_and_fill_one_file_together(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(keep_many, path, first) for first in (0, 20)]:
            done.result(timeout=60)

    database = open_tunings(path, writable=False)
    for i in range(30):
        found = database.find(replace(KEY, body=str(i)))
        assert found is not None
        assert found.ps == i


def test_a_missing_file_is_made_only_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="there is no such file"):
        open_tunings(tmp_path / "t.db", writable=False)
    with pytest.raises(BadOption, match="cannot be made"):
        open_tunings(tmp_path / "no" / "t.db", writable=True)
    with pytest.raises(BadOption, match="is not a file"):
        open_tunings(tmp_path, writable=True)
    with pytest.raises(BadOption, match="cannot be read: File name too long"):
        open_tunings(tmp_path / ("x" * 300), writable=True)


def test_an_empty_file_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.touch()

    assert refusal(path) == "is empty"


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("size", [50, 100, 4096, 5000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int, writable: bool) -> None:
    path = filled(tmp_path / "t.db")
    path.write_bytes(path.read_bytes()[:size])

    assert refusal(path, writable).startswith(("is cut off", "is damaged", "is truncated"))


def test_a_foreign_file_is_refused_before_sqlite_opens_it(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("buy milk\n" * 100)
    assert refusal(text) == "is not a tuning database of emu"
    text.unlink()

    other = tmp_path / "bookmarks.db"
    with closing(sqlite3.connect(other)) as made:
        made.execute("CREATE TABLE tunings (kernel TEXT)")
    assert refusal(other) == "is not a tuning database of emu"


def patched(path: Path, at: int, data: bytes) -> Path:
    """A database with other bytes in one place."""
    contents = bytearray(filled(path).read_bytes())
    contents[at : at + len(data)] = data
    path.write_bytes(contents)
    return path


def test_another_version_is_refused_by_number(tmp_path: Path) -> None:
    path = patched(tmp_path / "t.db", 60, struct.pack(">I", 7))

    assert refusal(path) == "has version 7, this emu has 1"


def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    assert refusal(patched(tmp_path / "t.db", 4096, b"\xff" * 64)).startswith("is damaged")


def changed(path: Path, *statements: str) -> Path:
    """A database that someone wrote to by hand."""
    with closing(sqlite3.connect(filled(path), isolation_level=None)) as opened:
        for statement in statements:
            opened.execute(statement)
    return path


def test_a_table_or_trigger_of_somebody_else_is_refused(tmp_path: Path) -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON tunings BEGIN DELETE FROM tunings; END"

    assert "its tables are not those" in refusal(changed(tmp_path / "t.db", trigger))


@pytest.mark.parametrize(
    "tiling",
    [
        "nothing",
        "[1]",
        '{"tile": [1]}',
        '{"tile": 8, "k": 0, "order": [], "cores": 1, "depth": 2, "threads": 64,'
        ' "load_width_bytes": 16}',
        '{"tile": [1], "k": true, "order": [], "cores": 1, "depth": 2, "threads": 64,'
        ' "load_width_bytes": 16}',
        '{"tile": [-1], "k": 0, "order": [], "cores": 1, "depth": 2, "threads": 64,'
        ' "load_width_bytes": 16}',
        "[" * 5000,
    ],
)
def test_a_row_that_is_no_tuning_is_refused(tmp_path: Path, tiling: str) -> None:
    path = changed(tmp_path / "t.db", f"UPDATE tunings SET tiling = '{tiling}'")
    before = path.read_bytes()

    with pytest.raises(BadOption, match=r"is damaged: the (tiling|row) of generated\.loops is no"):
        open_tunings(path, writable=True).find(KEY)
    assert path.read_bytes() == before


def test_a_locked_file_is_refused_after_a_while_and_the_lock_stays(tmp_path: Path) -> None:
    path = filled(tmp_path / "t.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BadOption, match=r"is locked by another process \(waited 0.05 s\)"):
            open_tunings(path, writable=False, wait_s=0.05)
        other.execute("ROLLBACK")

    assert open_tunings(path, writable=False).find(KEY) == FOUND


def test_a_read_only_file_is_read_but_not_written(tmp_path: Path) -> None:
    path = filled(tmp_path / "t.db")
    path.chmod(0o444)

    assert open_tunings(path, writable=False).find(KEY) == FOUND
    assert refusal(path) == "is read-only"


def stored_only(path: Path) -> None:
    """Write through a database that may only be read."""
    open_tunings(path, writable=False).keep(KEY, FOUND)


def gone(path: Path) -> None:
    """Look for something in a file that was taken away meanwhile."""
    database = open_tunings(path, writable=False)
    path.unlink()
    database.find(KEY)


@pytest.mark.parametrize(("act", "why"), [(stored_only, "is read-only"), (gone, "cannot be read")])
def test_what_goes_wrong_later_is_one_line_too(
    tmp_path: Path, act: Callable[[Path], None], why: str
) -> None:
    path = filled(tmp_path / "t.db")

    with pytest.raises(BadOption, match=why):
        act(path)
