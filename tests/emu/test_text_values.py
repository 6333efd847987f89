"""Text, lists and what is absent: read, written, and compared with what onnxruntime makes."""

from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.executing.values import compare
from emu.files import read_arrays, write_arrays
from emu.ir.errors import BadOption
from emu.ir.held import canonical

WORDS = np.array(["a", "für", ""], object)


def error_of(ours: Any, theirs: Any) -> float:
    return compare({"y": ours}, {"y": theirs}).max_abs_error


def test_text_comes_from_files_in_numpys_own_types(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, wide=WORDS.astype(str), narrow=np.array(["für".encode(), b"\xff"]))
    found = read_arrays(path)
    assert found["wide"].dtype == object
    assert found["wide"].tolist() == WORDS.tolist()
    assert found["narrow"].tolist() == ["für", "\ufffd"]


def test_text_goes_to_files_and_comes_back(tmp_path: Path) -> None:
    write_arrays(tmp_path / "out.npz", {"t": WORDS, "x": np.ones(2)})
    back = read_arrays(tmp_path / "out.npz")
    assert back["t"].tolist() == WORDS.tolist()
    assert back["x"].tolist() == [1, 1]


@pytest.mark.parametrize(("value", "kind"), [([np.ones(2)], "sequence"), (None, "optional")])
def test_what_is_no_array_is_not_written(value: Any, kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=f"'y' is no array but of the type {kind}"):
        write_arrays(tmp_path / "out.npz", {"y": value})
    assert list(tmp_path.iterdir()) == []


def test_text_agrees_or_does_not() -> None:
    assert error_of(WORDS, WORDS.astype(str)) == 0
    assert error_of(WORDS, WORDS[::-1]) == inf
    assert error_of(WORDS, WORDS[:2]) == inf
    assert error_of(WORDS, np.ones(3)) == inf


def test_lists_agree_part_by_part() -> None:
    ours = [np.zeros(2), [WORDS], None]
    assert error_of(ours, canonical([np.zeros(2), [WORDS], None])) == 0
    assert error_of(ours, [np.full(2, 0.5), [WORDS], None]) == 0.5
    assert error_of(ours, ours[:2]) == inf
    assert error_of(None, np.zeros(2)) == inf
    assert error_of({1: 2.0}, {1: 2.0}) == 0
    assert error_of({1: 2.0}, {1: 3.0}) == 1
    assert error_of({1: 2.0}, {2: 2.0}) == inf
