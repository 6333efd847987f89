"""The table that says which stack of emu a row was measured on, from the free text of the row."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from emu.devices.facts import Changes
from emu.ir.errors import UnknownName
from emu.validation.rows import Row

FILE = Path(__file__).parent / "stacks.toml"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that rows leave open, in microseconds, from a ``source`` of its own."""

    name: str
    us: float
    source: str


@dataclass(frozen=True, slots=True)
class Card:
    """The chip that a device of rows is; ``open`` says why that is not certain."""

    text: str
    chip: str
    open: str = ""


@dataclass(frozen=True, slots=True)
class RowStack:
    """What rows whose text fits a pattern were measured on.

    ``timed`` is "kernel" or "call" (launches alone) or "run" (a whole model; every launch then
    costs the host the condition ``dispatch``); the condition ``call`` is around it. Such rows are
    ``never`` priced, or leave ``open`` what decides their time: both say why.
    """

    name: str
    set: str
    text: str = "*"
    ops: tuple[str, ...] = ("*",)
    models: tuple[str, ...] = ("*",)
    timed: str = "kernel"
    says: str = ""
    kernels: str = "vendor"
    fusion: str = "vertical"
    residency: str = "off"
    dtype: str = ""
    call: str = ""
    dispatch: str = ""
    never: str = ""
    open: str = ""
    facts: Changes = ()

    def fits(self, row: Row, text: str) -> bool:
        """Whether a row was measured on this stack; ``text`` is what it says about it."""
        return (
            self.set == row.set
            and fnmatchcase(text, self.text)
            and any(fnmatchcase(row["op"], op) for op in self.ops)
            and any(fnmatchcase(row["model"], model) for model in self.models)
        )

    @property
    def changes(self) -> Changes:
        """The facts that the stack sets, and what its front end costs the host a launch."""
        dispatch = self.dispatch and conditions()[self.dispatch].us
        issue = (("launch.issue_us", dispatch),) if dispatch else ()
        return (*self.facts, *issue)


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


@cache
def conditions() -> Mapping[str, Condition]:
    """Every condition by its name."""
    return {entry["name"]: Condition(**entry) for entry in _table()["condition"]}


@cache
def cards() -> tuple[Card, ...]:
    """Every device that rows speak of, in order of the table."""
    return tuple(Card(**entry) for entry in _table()["device"])


@cache
def stacks() -> tuple[RowStack, ...]:
    """Every stack that rows speak of, in order of the table."""
    return tuple(_stack(entry) for entry in _table()["stack"])


def _stack(entry: Mapping[str, Any]) -> RowStack:
    lists: dict[str, Any] = {key: tuple(entry[key]) for key in ("ops", "models") if key in entry}
    changed: dict[str, Any] = {**entry, **lists, "facts": tuple(entry.get("facts", {}).items())}
    return RowStack(**changed)


def card_of(text: str, chips: tuple[str, ...]) -> Card | None:
    """The chip of a device as rows name it: by the table, or by the name of a datasheet."""
    found = next((card for card in cards() if fnmatchcase(text, card.text)), None)
    return found or (Card(text, text) if text in chips else None)


def stack_of(row: Row) -> RowStack | None:
    """The stack of a row: that of its column ``stack`` by name, or the first whose pattern fits.

    Raises UnknownName for a name that the table does not have.
    """
    column = {"gemm": "library", "op": "method", "model": "stack"}[row.set]
    named = row["stack"] if row.set != "model" else ""
    known = {stack.name: stack for stack in stacks()}
    if named and named not in known:
        raise UnknownName(f"stack in {row.file}:{row.line}", named, known)
    if named:
        return known[named]
    return next((stack for stack in stacks() if stack.fits(row, row[column])), None)
