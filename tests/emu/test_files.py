"""Arrays in files: what numpy wrote is read, what anybody else wrote is refused in one line."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emu.files import read_arrays, write_arrays
from emu.ir.errors import BadOption, BadValues

HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999,), }"


def zipped(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def enormous() -> bytes:
    """The head of an array of 364 TiB."""
    head = HEADER.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()


def test_arrays_come_back_as_they_were_written_whatever_their_names(tmp_path: Path) -> None:
    arrays = {
        "x": np.arange(6, dtype=np.int64).reshape(2, 3),
        "a/b": np.array([1.5]),
        "file": np.array(1),
    }
    write_arrays(tmp_path / "o.npz", arrays)
    found = read_arrays(tmp_path / "o.npz")
    assert list(found) == list(arrays)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert [file.name for file in tmp_path.iterdir()] == ["o.npz"]


def test_what_numpy_compressed_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "c.npz", x=np.ones(3))
    assert read_arrays(tmp_path / "c.npz")["x"].tolist() == [1, 1, 1]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="there is no such file"):
        read_arrays(tmp_path / "none.npz")
    with pytest.raises(BadOption, match="is not a file"):
        read_arrays(tmp_path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "empty.npz").touch()
    for name in ("one.npy", "empty.npz"):
        with pytest.raises(BadValues, match=r"is not an \.npz file"):
            read_arrays(tmp_path / name)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", x=np.array([{}], dtype=object))
    with pytest.raises(BadValues, match="allow_pickle=False"):
        read_arrays(tmp_path / "p.npz")


@pytest.mark.parametrize(
    ("member", "content"),
    [("x.npy", b"no array"), ("read.me", b"hello"), ("x.npy", b""), ("x.npy", enormous())],
)
def test_members_that_are_no_arrays_are_refused(
    tmp_path: Path, member: str, content: bytes
) -> None:
    with pytest.raises(BadValues, match="holds more than plain arrays"):
        read_arrays(zipped(tmp_path / "bad.npz", member, content))


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", x=np.arange(1000))
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[60:200] = bytes(140)
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(BadValues, match="holds more than plain arrays"):
        read_arrays(tmp_path / "d.npz")


def test_a_folder_in_the_way_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="is a folder"):
        write_arrays(tmp_path, {})
    with pytest.raises(BadOption, match="its folder does not exist"):
        write_arrays(tmp_path / "no" / "o.npz", {})


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "o.npz"
    write_arrays(file, {"x": np.ones(1)})
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(file, {"x": np.zeros(1, [("held", object)])})
    assert read_arrays(file)["x"].tolist() == [1]
    assert [found.name for found in tmp_path.iterdir()] == ["o.npz"]
