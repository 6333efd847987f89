"""Arrays in .npz files: read without trust, written whole or not at all."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from emu.ir.errors import BadOption, BadValues
from emu.ir.replacing import replacing
from emu.ir.types import Array

# What numpy and zipfile raise for damaged, encrypted, foreign or absurdly large members.
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_arrays(path: Path, flag: str = "--inputs") -> dict[str, Array]:
    """Return the arrays of an .npz file by name; raises BadOption or BadValues with ``flag``."""
    if not path.is_file():
        why = "is not a file" if path.exists() else "there is no such file"
        raise BadOption(f"{flag} {path}: {why}")
    if not zipfile.is_zipfile(path):
        raise BadValues(f"{flag} {path}: is not an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            return {m.removesuffix(".npy"): _read(archive, m) for m in archive.namelist()}
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise BadValues(f"{flag} {path}: holds more than plain arrays: {reason}") from error


def _read(archive: zipfile.ZipFile, member: str) -> Array:
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def check_writable(flag: str, path: Path) -> None:
    """Raise BadOption, which names the ``flag``, if no file can appear at ``path``."""
    if path.is_dir():
        raise BadOption(f"{flag} {path}: is a folder")
    if not path.parent.is_dir():
        raise BadOption(f"{flag} {path}: its folder does not exist")


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays to an .npz file, through a temporary file beside it; raises BadOption."""
    check_writable("--outputs", path)
    try:
        with replacing(path) as file:
            _write(file, arrays)
    except OSError as error:
        raise BadOption(f"--outputs {path}: cannot be written: {error.strerror}") from error


def _write(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """What np.savez does, for any names: one .npy member an array."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
