"""Inputs, datasheets, kept runs and tunings of a stranger."""

import os
import re
import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from emu.devices.datasheet import FOLDER, load_datasheet
from emu.files import read_arrays
from emu.ir.errors import BadOption, BadValues, DatasheetError, InputError, OverLimit, RunFileError
from emu.studies.run_file import read_run
from emu.tuning.database import open_tunings

MIB = 1 << 20


def npy(shape: str, descr: str = "'<f4'", rest: bytes = b"", version: int = 1) -> bytes:
    """An array as its header declares it, with other contents behind."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(head) + 1)
    return b"\x93NUMPY" + bytes((version, 0)) + length + head + b"\n" + rest


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return path


NPZ = {
    "more-than-there-is": npy("(1 << 40,)".replace("1 << 40", str(1 << 40)), rest=bytes(16)),
    "less-than-there-is": npy("(1,)", rest=bytes(16)),
    "negative": npy("(-1,)", rest=bytes(16)),
    "overflow": npy(f"({1 << 62}, {1 << 62})", rest=bytes(16)),
    "empty-and-huge": npy(f"(0, {1 << 62})"),
    "rank-100": npy("(" + "1," * 100 + ")", rest=bytes(4)),
    "objects": npy("(1,)", "'|O'", b"\x80\x04."),
    "wide-text": npy("(1,)", f"'<U{1 << 28}'"),
    "nested-types": npy("(1,)", "[('a', [('b', [('c', '<f4')])])]", bytes(4)),
    "a-call-as-type": npy("(1,)", "__import__('os').system('id')", bytes(4)),
    "version-9": npy("(1,)", rest=bytes(4), version=9),
    "version-3": npy("(1,)", rest=bytes(4), version=3),
    "a-long-header": npy("(1,)" + " " * 30_000, rest=bytes(4)),
    "a-deep-header": npy("(" * 3000 + ")" * 3000),
    "text": b"hello",
}


@pytest.mark.parametrize("name", NPZ)
def test_a_hostile_array_is_refused(name: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", ("x.npy", NPZ[name]))
    with pytest.raises(InputError) as caught:
        read_arrays(path)
    assert "--inputs" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_archive_that_unpacks_to_much_is_refused_unread(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.npz", ("x.npy", npy("(1,)", rest=bytes(MIB))))
    content = path.read_bytes()
    size = struct.pack("<I", len(npy("(1,)")) + MIB)
    path.write_bytes(content.replace(size, struct.pack("<I", (1 << 32) - 2)))
    with pytest.raises(OverLimit, match="unpacks to 4,294,967,294 bytes; the limit is"):
        read_arrays(path)


def test_an_archive_of_many_arrays_is_refused(tmp_path: Path) -> None:
    members = ((f"{i}.npy", b"") for i in range(10_001))
    with pytest.raises(OverLimit, match="has 10,001 arrays; the limit is 10,000"):
        read_arrays(archive(tmp_path / "many.npz", *members))


@pytest.mark.parametrize("locator", [False, True])
def test_an_archive_with_a_long_directory_is_refused_before_it_is_listed(
    tmp_path: Path, locator: bool
) -> None:
    path = archive(tmp_path / "long.npz", ("x.npy", npy("(1,)", rest=bytes(4))))
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\5\6")
    if locator:
        content[end:end] = b"PK\6\7" + bytes(16)
    else:
        content[end + 12 : end + 16] = struct.pack("<I", 1 << 30)
    path.write_bytes(content)
    with pytest.raises((OverLimit, BadValues), match=r"its directory is over|is not an \.npz file"):
        read_arrays(path)


def test_inputs_of_a_pipe_or_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "pipe.npz", Path("/dev/zero")):
        with pytest.raises(BadOption, match="is not a file"):
            read_arrays(path)


SHEETS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "device": lambda path: os.symlink("/dev/zero", path),
    "large": lambda path: path.write_text("a = 1\n" * 100_000),
    "deep": lambda path: path.write_text("a = " + "[" * 5000 + "]" * 5000),
    "digits": lambda path: path.write_text("a = " + "9" * 5000),
    "infinite": lambda path: path.write_text("about = inf"),
    "nul": lambda path: path.write_bytes(b"a = '\0'"),
    "bytes": lambda path: path.write_bytes(os.urandom(64)),
    "empty": lambda path: path.write_text(""),
    "keys": lambda path: path.write_text("\n".join(f"k{i} = 1" for i in range(9000))),
    "dotted": lambda path: path.write_text(".".join("a" * 5000) + " = 1"),
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_hostile_datasheet_is_refused(name: str, tmp_path: Path) -> None:
    SHEETS[name](tmp_path / "chip.toml")
    with pytest.raises(DatasheetError, match=r"chip\.toml"):
        load_datasheet(tmp_path / "chip.toml")


@pytest.mark.parametrize("number", ["1e300", "1e-300", "9" * 400, "inf", "nan", "-1", "0"])
@pytest.mark.parametrize("key", ["bandwidth_gb_s", "cores", "clock_mhz", "f32"])
def test_a_number_that_no_chip_has_is_refused(key: str, number: str, tmp_path: Path) -> None:
    text = (FOLDER / "gpu.toml").read_text()
    changed, times = re.subn(rf"(?m)^{key}( *)= *[\d._]+", rf"{key}\1= {number}", text, count=1)
    assert times == 1
    (tmp_path / "chip.toml").write_text(changed)
    with pytest.raises(DatasheetError, match=rf"chip\.toml: .*{key}"):
        load_datasheet(tmp_path / "chip.toml")


def kept(body: bytes) -> bytes:
    """A run file whose first line is right, whatever the body."""
    return f"emurun 2 {sha256(body).hexdigest()} {len(body)}\n".encode() + body


RUNS = {
    "deep": kept(b"[" * 100_000),
    "many": kept(b"[" + b"[]," * 500_000 + b"[]]"),
    "digits": kept(b'{"latency_ps": ' + b"9" * 5000 + b"}"),
    "not-a-number": kept(b'{"latency_ps": NaN}'),
    "a-list": kept(b"[]"),
    "no-json": kept(b"\xff\xfe"),
    "a-long-header": b"emurun " + b"1" * 100_000,
    "a-length-that-lies": b"emurun 2 " + b"0" * 64 + b" 999999999999\n{}",
}


@pytest.mark.parametrize("name", RUNS)
def test_a_hostile_run_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.emurun"
    path.write_bytes(RUNS[name])
    with pytest.raises(RunFileError, match=r"x\.emurun"):
        read_run(path)


def test_a_run_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "x.emurun").open("wb") as file:
        file.truncate(65 * MIB)
    with pytest.raises(RunFileError, match="at most 67,108,864 bytes"):
        read_run(tmp_path / "x.emurun")


def test_tunings_of_a_pipe_or_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    np.save(tmp_path / "array.npy", np.ones(3))
    for path, why in (
        (tmp_path / "pipe.db", "is not a file"),
        (Path("/dev/zero"), "is not a file"),
        (tmp_path / "array.npy", "is not a tuning database of emu"),
    ):
        with pytest.raises(BadOption, match=why):
            open_tunings(path, writable=False)
