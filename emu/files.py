"""Arrays in .npz files: read without trust, written whole or not at all."""

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from emu.ir.errors import BadOption, BadValues
from emu.ir.types import Array


def read_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file by name; raises BadOption or BadValues."""
    if not path.is_file():
        raise BadOption(f"--inputs {path}: there is no such file")
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise BadValues(f"{path}: is one array, not an .npz of named ones")
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        reason = " ".join(str(error).split())
        raise BadValues(f"{path}: is not an .npz file of plain arrays: {reason}") from error


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays to an .npz file, through a temporary file beside it; raises BadOption."""
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder" if path.is_dir() else "its folder does not exist"
        raise BadOption(f"--outputs {path}: {why}")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as unfinished:
            try:
                _write(unfinished, arrays)
            except BaseException:
                os.unlink(unfinished.name)
                raise
        os.replace(unfinished.name, path)
    except OSError as error:
        raise BadOption(f"--outputs {path}: cannot be written: {error.strerror}") from error


def _write(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """What np.savez does, for any names: one .npy member an array."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
