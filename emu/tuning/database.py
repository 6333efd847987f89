"""Tilings that were tuned, kept in one SQLite file that several processes may use at once.

A file is looked at before SQLite opens it, so that what is not a database of tunings is never
touched; whatever is wrong with it is one line, and nothing in it changes.
"""

import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

from emu.ir.errors import BadOption
from emu.kernels.tiling import Tiling

APPLICATION = 0x656D7554  # "emuT", in the header of the file
VERSION = 1  # of the table, and of what a digest and a tiling mean
WAIT_S = 5.0  # for another process to finish a transaction
HEADER = 100  # bytes, of every SQLite database (sqlite.org/fileformat.html)
MAGIC = b"SQLite format 3\0"
LONGEST = 1_000_000  # bytes of one row
LARGEST = 1 << 40  # of a number in a tiling
# What a tiling is but for how a library splits reductions, which the key of a tuning says.
KEPT = tuple(field.name for field in fields(Tiling) if field.name != "split")

TABLE = """CREATE TABLE tunings (
    kernel TEXT NOT NULL,
    body TEXT NOT NULL,
    dtype TEXT NOT NULL,
    device TEXT NOT NULL,
    format INTEGER NOT NULL,
    tiling TEXT NOT NULL,
    ps INTEGER NOT NULL,
    trials INTEGER NOT NULL,
    PRIMARY KEY (kernel, body, dtype, device, format)
) WITHOUT ROWID"""
FIND = """SELECT tiling, ps, trials FROM tunings
    WHERE (kernel, body, dtype, device, format) = (?, ?, ?, ?, ?)"""
KEEP = """INSERT INTO tunings VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (kernel, body, dtype, device, format) DO UPDATE SET
        tiling = iif(excluded.ps < ps, excluded.tiling, tiling),
        ps = min(excluded.ps, ps),
        trials = max(excluded.trials, trials)"""


@dataclass(frozen=True)
class Key:
    """What a tuning is for: a kernel, the digest of a body, its dtypes, the digest of a device."""

    kernel: str
    body: str
    dtype: str
    device: str
    format: int = VERSION


@dataclass(frozen=True)
class Tuning:
    """The best tiling of ``trials`` that were tried, and its picoseconds alone on the device."""

    tiling: Tiling
    ps: int
    trials: int


@dataclass(frozen=True)
class TuningDatabase:
    """One file; every question and every answer is a transaction of its own."""

    path: Path
    writable: bool
    wait_s: float = WAIT_S

    def find(self, key: Key) -> Tuning | None:
        """What is known for a key; raises BadOption if the file cannot be read or is damaged."""
        with self.session("BEGIN") as opened:
            row = opened.execute(FIND, astuple(key)).fetchone()
        return None if row is None else self.tuning(key, row)

    def keep(self, key: Key, found: Tuning) -> None:
        """Store a tuning; of two for one key the faster stays, with the larger number of trials."""
        text = json.dumps({name: getattr(found.tiling, name) for name in KEPT})
        with self.session("BEGIN IMMEDIATE") as opened:
            opened.execute(KEEP, (*astuple(key), text, found.ps, found.trials))

    def check(self) -> None:
        """Raise BadOption if a page is damaged or missing, or if it cannot be used as asked."""
        with self.session("BEGIN IMMEDIATE" if self.writable else "BEGIN") as opened:
            pages, size = (_pragma(opened, name) for name in ("page_count", "page_size"))
            if pages * size != self.path.stat().st_size:
                raise self.refusal(f"is truncated: it should have {pages * size:,} bytes")
            if (verdict := _pragma(opened, "quick_check")) != "ok":
                raise self.refusal(f"is damaged: {verdict}")

    @contextmanager
    def session(self, begin: str) -> Generator[sqlite3.Connection, None, None]:
        """One transaction; whatever SQLite has to say is one line, and nothing is changed then."""
        self.look()
        mode = "rw" if self.writable else "ro"
        address = f"{self.path.resolve().as_uri()}?mode={mode}"
        try:
            with closing(_connected(address, self.wait_s)) as opened:
                opened.execute(begin)
                self.know(opened)
                yield opened
                opened.execute("COMMIT")
        except sqlite3.Error as error:
            raise self.refusal(self.trouble(error)) from error

    def look(self) -> None:
        """Read the first bytes: what is not ours is left to whom it belongs."""
        try:
            with self.path.open("rb") as file:
                header = file.read(HEADER)
        except OSError as error:
            raise self.refusal(f"cannot be read: {error.strerror}") from error
        if len(header) < HEADER:
            raise self.refusal(
                "is empty" if not header else f"is cut off after {len(header)} bytes"
            )
        if not header.startswith(MAGIC) or _number(header, 68) != APPLICATION:
            raise self.refusal("is not a tuning database of emu")
        if (version := _number(header, 60)) != VERSION:
            raise self.refusal(f"has version {version}, this emu has {VERSION}")

    def know(self, opened: sqlite3.Connection) -> None:
        """Refuse any table, view or trigger that is not the one of this version."""
        found = opened.execute("SELECT name, sql FROM sqlite_schema").fetchall()
        if found != [("tunings", TABLE)]:
            raise self.refusal("is damaged: its tables are not those of a tuning database")

    def trouble(self, error: sqlite3.Error) -> str:
        """What an error of SQLite means for the file."""
        name = str(getattr(error, "sqlite_errorname", ""))
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return f"is locked by another process (waited {self.wait_s:g} s)"
        if name.startswith("SQLITE_READONLY"):
            return "is read-only"
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_TOOBIG", "SQLITE_FORMAT")):
            return f"is damaged: {error}"
        return f"cannot be used: {error}"

    def tuning(self, key: Key, row: tuple[object, ...]) -> Tuning:
        """A row as a value; raises BadOption if it is none."""
        text, ps, trials = row
        try:
            made: object = json.loads(str(text))
        except (ValueError, RecursionError) as error:
            raise self.refusal(f"is damaged: the tiling of {key.kernel} is no JSON") from error
        tiling = _tiling(made)
        if tiling is None or not _counts(ps) or not _counts(trials):
            raise self.refusal(f"is damaged: the row of {key.kernel} is no tuning")
        return Tuning(tiling, cast(int, ps), cast(int, trials))

    def refusal(self, why: str) -> BadOption:
        """The error that says what is wrong with the file."""
        return BadOption(f"--tuning-db {self.path}: {' '.join(why.split())}")


def open_tunings(path: Path, writable: bool, wait_s: float = WAIT_S) -> TuningDatabase:
    """Open a file of tunings, or make a new one if it is to be written and there is none.

    Raises BadOption if it is missing, damaged, foreign, of another version, locked, or read-only
    but to be written.
    """
    database = TuningDatabase(path, writable, wait_s)
    try:
        exists, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise database.refusal(f"cannot be read: {error.strerror}") from error
    if exists and not is_file:
        raise database.refusal("is not a file")
    if not exists:
        if not writable:
            raise database.refusal("there is no such file (--tune-trials N makes one)")
        _create(database)
    if writable and not path.stat().st_mode & 0o222:
        raise database.refusal("is read-only")
    database.check()
    return database


def _create(database: TuningDatabase) -> None:
    """Make a whole database elsewhere and link it in; if another process was first, use that."""
    path = database.path
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
            with closing(sqlite3.connect(file.name)) as made:
                made.execute(f"PRAGMA application_id = {APPLICATION}")
                made.execute(f"PRAGMA user_version = {VERSION}")
                made.execute(TABLE)
            os.chmod(file.name, 0o644)
            os.link(file.name, path)
    except FileExistsError:
        return
    except (OSError, sqlite3.Error) as error:
        raise database.refusal(f"cannot be made: {error}") from error


def _connected(address: str, wait_s: float) -> sqlite3.Connection:
    opened = sqlite3.connect(address, timeout=wait_s, isolation_level=None, uri=True)
    opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    opened.execute("PRAGMA trusted_schema = OFF")
    return opened


def _pragma(opened: sqlite3.Connection, name: str) -> Any:
    return opened.execute(f"PRAGMA {name}").fetchone()[0]


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 4], "big")


def _tiling(made: object) -> Tiling | None:
    """The tiling that JSON holds, None if a field is missing, foreign or out of range."""
    if not isinstance(made, dict):
        return None
    entries = cast(dict[str, Any], made)
    if set(entries) != set(KEPT):
        return None
    tile, order = (_items(entries.pop(name)) for name in ("tile", "order"))
    if tile is None or order is None:
        return None
    if not all(map(_counts, (*entries.values(), *tile, *order))):
        return None
    return Tiling(tuple(tile), order=tuple(order), **entries)


def _items(value: Any) -> list[Any] | None:
    return cast(list[Any], value) if isinstance(value, list) else None


def _counts(value: object) -> bool:
    """Whether a value is a number that can be a size or a time; True is not one."""
    return type(value) is int and 0 <= value < LARGEST
