"""A run as one file: a line of text that says what it is, then JSON.

The line is ``emurun VERSION DIGEST LENGTH``: the version of the format, and the SHA-256 and the
number of the bytes after it. Nothing in a file is believed before it is checked.
"""

import json
import re
from hashlib import sha256
from pathlib import Path

from emu.ir.errors import BadOption, RunFileError
from emu.ir.replacing import replacing
from emu.ir.trace import CAUSES
from emu.kept import KeptRun
from emu.studies.records import from_json, to_json

SUFFIX = ".emurun"
VERSION = 2
MAGIC = b"emurun "
HEADER = re.compile(rb"emurun (\d{1,9}) ([0-9a-f]{64}) (\d{1,12})\n")
LONGEST_HEADER = 96
LARGEST_BYTES = 64 * 2**20


def write_run(path: Path, run: KeptRun) -> None:
    """Keep a run in a file, whole or not at all; raises BadOption if it cannot be written."""
    body = json.dumps(to_json(run), allow_nan=False, separators=(",", ":")).encode("ascii")
    head = f"emurun {VERSION} {sha256(body).hexdigest()} {len(body)}\n"
    try:
        with replacing(path) as file:
            file.write(head.encode("ascii") + body)
    except OSError as error:
        raise BadOption(f"--output {path}: cannot be written: {error.strerror}") from error


def read_run(path: Path) -> KeptRun:
    """Return the run in a file; raises RunFileError with what is wrong with it."""
    body = _body(path, _contents(path))
    try:
        return _believed(from_json(KeptRun, json.loads(body, parse_constant=_refuse), "run"))
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"{path}: the run file is damaged: {error}") from error


def is_run_file(text: str) -> bool:
    """Whether a word names a run file: it ends in .emurun, or a file there begins like one."""
    if text.endswith(SUFFIX):
        return True
    try:
        with open(text, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def _contents(path: Path) -> bytes:
    if not path.is_file():
        why = "is not a file" if path.exists() else "there is no such file"
        raise RunFileError(f"{path}: {why}")
    try:
        with path.open("rb") as file:
            found = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read: {error.strerror}") from error
    if len(found) > LARGEST_BYTES:
        raise RunFileError(f"{path}: a run file has at most {LARGEST_BYTES:,} bytes")
    return found


def _body(path: Path, found: bytes) -> bytes:
    """What stands behind the first line, if it is all there."""
    head = HEADER.match(found[:LONGEST_HEADER])
    if head is None:
        raise RunFileError(f"{path}: is not a run file of emu (emu run -o F.emurun makes one)")
    version, digest, length = int(head[1]), head[2].decode("ascii"), int(head[3])
    if version != VERSION:
        reads = f"this emu reads version {VERSION}"
        raise RunFileError(f"{path}: is a run file of version {version}, {reads}")
    body = found[head.end() :]
    if len(body) < length:
        raise RunFileError(f"{path}: is cut short: {len(body):,} of {length:,} bytes are there")
    if len(body) > length or sha256(body).hexdigest() != digest:
        raise RunFileError(f"{path}: the run file is damaged: its digest is not that of its bytes")
    return body


def _believed(run: KeptRun) -> KeptRun:
    """The run if it is one: its charges have causes that exist, and sum to its latency."""
    charged = [pair for causes in run.charges.values() for pair in causes.items()]
    if unknown := sorted({cause for cause, _ in charged} - set(CAUSES)):
        raise ValueError(f"there is no cause '{unknown[0]}'")
    if any(ps < 0 for _, ps in charged) or sum(ps for _, ps in charged) != run.latency_ps:
        raise ValueError("its charges do not sum to its latency")
    if any(not group.sources or not group.nodes for group in run.groups):
        raise ValueError("it has a group without nodes")
    return run


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")
