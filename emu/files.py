"""Arrays in .npz files: read without trust, written whole or not at all."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from math import prod
from os import SEEK_END
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from emu.ir.errors import BadOption, BadValues, OverLimit
from emu.ir.held import canonical, value_type
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


MOST_ARRAYS = 10_000
MOST_BYTES = 1 << 30  # of all arrays of a file when they are unpacked
# An archive ends with a record that has the length of its directory, and a comment of 65,535 bytes
# at most; before it stands a locator if the archive is larger than 32 bits can say.
# Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.15 and 4.3.16.
END, END_BYTES, LOCATOR, LOCATOR_BYTES = b"PK\5\6", 22 + 65_535, b"PK\6\7", 20
MOST_DIRECTORY_BYTES = 1 << 24
HEADERS: Mapping[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
LONGEST_HEADER = 10_000  # characters; numpy's own limit for headers that it does not trust


def read_arrays(path: Path, flag: str = "--inputs") -> dict[str, Array]:
    """Return the arrays of an .npz file by name; raises BadOption or BadValues with ``flag``."""
    if not path.is_file():
        why = "is not a file" if path.exists() else "there is no such file"
        raise BadOption(f"{flag} {path}: {why}")
    if not zipfile.is_zipfile(path):
        raise BadValues(f"{flag} {path}: is not an .npz file")
    try:
        _check_directory(path, f"{flag} {path}")
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, f"{flag} {path}")
            return {m.removesuffix(".npy"): _read(archive, m) for m in archive.namelist()}
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise BadValues(f"{flag} {path}: holds more than plain arrays: {reason}") from error


def _check_directory(path: Path, where: str) -> None:
    """Raise OverLimit if the list of members is long: zipfile makes an object for each at once."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, END_BYTES + LOCATOR_BYTES), SEEK_END)
        tail = file.read()
    at = tail.rfind(END)
    length = int.from_bytes(tail[at + 12 : at + 16], "little")
    has_more = tail[max(0, at - LOCATOR_BYTES) : at].startswith(LOCATOR)
    if has_more or length > MOST_DIRECTORY_BYTES:
        raise OverLimit(f"{where}: its directory is over {MOST_DIRECTORY_BYTES:,} bytes")


def _check_sizes(archive: zipfile.ZipFile, where: str) -> None:
    """Raise OverLimit for an archive that unpacks to more than it may: it may have been packed to.

    What the directory says is not believed further: zipfile reads no more of a member than that.
    """
    members = archive.infolist()
    if len(members) > MOST_ARRAYS:
        raise OverLimit(f"{where}: has {len(members):,} arrays; the limit is {MOST_ARRAYS:,}")
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES:
        raise OverLimit(f"{where}: unpacks to {total:,} bytes; the limit is {MOST_BYTES:,}")


def _read(archive: zipfile.ZipFile, member: str) -> Array:
    """An array, if its header declares as many bytes as the member has behind it."""
    with archive.open(member) as file:
        shape, dtype = _header(file)
        declared = prod(shape) * dtype.itemsize
        there = archive.getinfo(member).file_size - file.tell()
        if declared != there and not dtype.hasobject:  # numpy refuses to unpickle objects
            raise ValueError(f"{member} declares {declared:,} bytes and has {there:,}")
        file.seek(0)
        read = np.lib.format.read_array
        return canonical(read(file, allow_pickle=False, max_header_size=LONGEST_HEADER))


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and element type that an .npy member declares."""
    version = np.lib.format.read_magic(file)
    read = HEADERS.get(version)
    if read is None:
        raise ValueError(f"version {version} of .npy is not known")
    shape, _, dtype = read(file, max_header_size=LONGEST_HEADER)
    if dtype.fields is not None:
        raise ValueError(f"records of {dtype} are no elements")
    return shape, dtype


def check_writable(flag: str, path: Path) -> None:
    """Raise BadOption, which names the ``flag``, if no file can appear at ``path``."""
    if path.is_dir():
        raise BadOption(f"{flag} {path}: is a folder")
    if not path.parent.is_dir():
        raise BadOption(f"{flag} {path}: its folder does not exist")


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays to an .npz file, through a temporary file beside it, text in numpy's own type.

    Raises BadOption if it cannot be written, or if a value is a list, a map or absent.
    """
    check_writable("--outputs", path)
    for name, array in arrays.items():
        if not isinstance(cast(object, array), np.ndarray):
            kind = value_type(array).dtype
            raise BadOption(f"--outputs {path}: '{name}' is no array but of the type {kind}")
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
                plain = array.astype(str) if array.dtype.kind == "O" else array
                np.lib.format.write_array(member, plain, allow_pickle=False)
