"""What the table of an interface may say, by its kind, and the facts that the kind needs."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from emu.devices.driver import Isa
from emu.devices.driver.handles import ROLES as FUNCTIONS
from emu.devices.driver.isa import WORDS
from emu.devices.driver.management import ROLES as MANAGEMENT
from emu.devices.fields import At
from emu.ir.errors import ContainerError
from emu.lockin.layouts import KIND as LAYOUT
from emu.lockin.layouts import check_layout

Facts: TypeAlias = Mapping[str, Any]
DIALECT = "dialect"
MOST_MAJOR = 1 << 16  # of the numbers that the header of a binary has room for


def check_table(kind: str, name: str, table: Mapping[str, Any], facts: Facts, at: At) -> None:
    """Raise CatalogueError, with file and key, unless a table says what its kind can carry out."""
    if kind in _CHECKS:
        _CHECKS[kind](name, table, facts, at)


def _check_layout(name: str, table: Mapping[str, Any], facts: Facts, at: At) -> None:
    del name, facts
    check_layout(table, at.to("versions"))


def _check_dialect(name: str, table: Mapping[str, Any], facts: Facts, at: At) -> None:
    """Each op has a spelling."""
    del name, facts
    for op, spelling in table.items():
        if not isinstance(spelling, str) or not spelling:
            raise at.to("versions").to(op).error(f"must be a spelling, not {spelling!r}")


def _check_functions(name: str, table: Mapping[str, Any], facts: Facts, at: At) -> None:
    """Each function has a role that drivers know."""
    del name, facts
    for function, role in table.items():
        if role not in FUNCTIONS:
            place = at.to("versions").to(function)
            raise place.error(f"must be one of {', '.join(FUNCTIONS)}, not {role!r}")


def _check_management(name: str, table: Mapping[str, Any], facts: Facts, at: At) -> None:
    """Each role that can be managed has the name of a function."""
    del name, facts
    for role, function in table.items():
        place = at.to("versions").to(role)
        if role not in MANAGEMENT:
            raise place.error(f"is none of {', '.join(MANAGEMENT)}")
        if not isinstance(function, str) or not function:
            raise place.error(f"must be the name of a function, not {function!r}")


def _check_isa(name: str, table: Mapping[str, Any], facts: Facts, at: At) -> None:
    """The opcodes are numbers, a class each, in words that a loader reads."""
    major, word_bytes = facts.get("major", 1), facts.get("word_bytes")
    if not isinstance(major, int) or not 0 <= major < MOST_MAJOR:
        raise at.to("facts.major").error(f"must be a number below {MOST_MAJOR:,}, not {major!r}")
    if word_bytes not in WORDS:
        known = ", ".join(map(str, WORDS))
        raise at.to("facts.word_bytes").error(f"must be one of {known}, not {word_bytes!r}")
    for opcode, number in table.items():
        if not isinstance(number, int):
            raise at.to("versions").to(opcode).error(f"must be a number, not {number!r}")
    try:
        Isa(name, major, 0, word_bytes, table)
    except ContainerError as error:
        raise at.to("versions").error(str(error)) from error


_CHECKS: Mapping[str, Callable[[str, Mapping[str, Any], Facts, At], None]] = MappingProxyType(
    {
        LAYOUT: _check_layout,
        DIALECT: _check_dialect,
        "functions": _check_functions,
        "management": _check_management,
        "isa": _check_isa,
    }
)
