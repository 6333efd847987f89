"""The folder of a sweep: a journal of priced points that survives any kill, and what it is of."""

import fcntl
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emu.ir.errors import BadOption
from emu.ir.replacing import replacing
from emu.sweeps.plan import Plan, Point, key_of
from emu.sweeps.point import Result

SCHEMA = "emu.sweep/1"
NAME = "sweep.json"
LINES = "journal.jsonl"


@dataclass(frozen=True)
class Journal:
    """An open journal: a line for each point that is priced, on the disk before it counts."""

    folder: Path
    descriptor: int
    done: Mapping[str, Result]

    def add(self, point: Point, result: Result) -> None:
        """Append a point and wait until the disk has it; raises BadOption for a full disk."""
        line = json.dumps([key_of(point), result], separators=(",", ":")) + "\n"
        try:
            _write_whole(self.descriptor, line.encode())
            os.fsync(self.descriptor)
        except OSError as error:
            raise _unwritable(self.folder, error) from error


@contextmanager
def journal(folder: Path, plan: Plan) -> Generator[Journal, None, None]:
    """Open the journal of a plan, a new one or the one of the same sweep that was cut off.

    Raises BadOption for the folder of another sweep, one in use, or one that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _claim(folder, plan)
        descriptor = os.open(folder / LINES, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        _lock(folder, descriptor)
        yield Journal(folder, descriptor, _read(folder, descriptor))
    finally:
        os.close(descriptor)


def _claim(folder: Path, plan: Plan) -> None:
    """Write what the sweep is into an empty folder, or compare it with what stands there."""
    path = folder / NAME
    if not path.exists():
        if strange := next((f for f in sorted(folder.iterdir()) if f.name[0] != "."), None):
            raise BadOption(f"--output {folder}: holds '{strange.name}', and is no sweep's folder")
        told = {"schema": SCHEMA, "model": plan.model, "digest": plan.digest}
        with replacing(path) as file:
            file.write(json.dumps(told).encode() + b"\n")
    if _digest(path) != plan.digest:
        raise BadOption(f"--output {folder}: holds another sweep, which is left as it is")


def _digest(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))["digest"]
    except (ValueError, KeyError, TypeError):
        return None


def _lock(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise BadOption(f"--output {folder}: another process works on this sweep") from error


def _read(folder: Path, descriptor: int) -> dict[str, Result]:
    """The whole lines of a journal; a torn last one is cut off, so that it is priced again."""
    text = (folder / LINES).read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    os.ftruncate(descriptor, len(whole))
    try:
        return dict(json.loads(line) for line in whole.splitlines())
    except ValueError as error:
        raise BadOption(f"--output {folder}: {LINES} is damaged: {error}") from error


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _unwritable(folder: Path, error: OSError) -> BadOption:
    return BadOption(f"--output {folder}: cannot be written: {error.strerror}")
