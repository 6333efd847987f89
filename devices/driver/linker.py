"""Linking a library against a driver: its imports are looked up among what the driver exports.

A library reaches the chip through nothing but the handle that comes out. What a driver does not
export has no name here, so nothing needs to be forbidden.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emu.ir.errors import AbiMismatch

Function = Callable[..., Any]


@dataclass(frozen=True)
class Export:
    """A table of functions of one interface, for consumers of version ``oldest`` to ``version``.

    ``owner`` is who exports it.
    """

    interface: str
    oldest: int
    version: int
    functions: Mapping[str, Function]
    owner: str = ""


@dataclass(frozen=True)
class Import:
    """What a library was built against: versions it can speak, and the functions that it calls."""

    interface: str
    least: int
    most: int
    functions: tuple[str, ...]


@dataclass
class Handle:
    """An open driver: calls go through the table that was linked, and are counted.

    ``owner`` is whose table it is.
    """

    version: int
    functions: Mapping[str, Function]
    owner: str = ""
    calls: dict[str, int] = field(default_factory=dict[str, int])

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the table; raises AbiMismatch for one that was not linked."""
        if function not in self.functions:
            linked = ", ".join(sorted(self.functions)) or "no function"
            raise AbiMismatch("the library calls the driver", linked, function)
        self.calls[function] = self.calls.get(function, 0) + 1
        return self.functions[function](*arguments)


def link(wanted: Import, tables: tuple[Export, ...]) -> Handle:
    """Return the handle of the first table that has all that is wanted.

    Raises AbiMismatch with versions if no table of the interface is in the window, and with the
    functions that are missing if one is.
    """
    same = [table for table in tables if table.interface == wanted.interface]
    if not same:
        have = ", ".join(sorted(t.interface for t in tables)) or "no table"
        raise AbiMismatch("the library opens the driver", have, wanted.interface)
    for table in same:
        version = min(wanted.most, table.version)
        if version >= max(wanted.least, table.oldest):
            return _linked(wanted, table, version)
    spans = ", ".join(f"{t.interface} {t.oldest} to {t.version}" for t in same)
    need = f"{wanted.interface} {wanted.least} to {wanted.most}"
    raise AbiMismatch("driver and library shake hands", spans, need)


def _linked(wanted: Import, table: Export, version: int) -> Handle:
    missing = [name for name in wanted.functions if name not in table.functions]
    if missing:
        have = f"{len(wanted.functions) - len(missing)} of {len(wanted.functions)} functions"
        shown = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise AbiMismatch(f"the library resolves {wanted.interface}", have, shown)
    return Handle(version, {n: table.functions[n] for n in wanted.functions}, table.owner)
