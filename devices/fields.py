"""Strict reading of nested tables into frozen dataclasses; each message names file and key.

Datasheets are read so, and other files of facts with an error of their own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from difflib import get_close_matches
from math import inf
from types import MappingProxyType, NoneType
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from emu.ir.errors import DatasheetError, InputError
from emu.ir.types import NUMPY

# No fact of a chip, in the units of its key, is outside of these.
SMALLEST, LARGEST = 1e-9, 1e15
MOST_DIGITS = 20  # of a number that is shown


@dataclass(frozen=True, slots=True)
class At:
    """A place in a file, for messages, and the error that something wrong there is."""

    file: str
    path: str = ""
    refusal: type[InputError] = DatasheetError

    def to(self, key: str) -> "At":
        """Return the place of an entry of this one."""
        return replace(self, path=f"{self.path}.{key}" if self.path else key)

    def error(self, why: str) -> InputError:
        """Return the error that something is wrong here."""
        return self.refusal(f"{self.file}: {self.path or 'file'}: {why}")


Reader: TypeAlias = Callable[[object, At], Any]
T = TypeVar("T")


def read(kind: type[T], value: object, at: At) -> T:
    """Return the dataclass ``kind`` that a table describes, or raise DatasheetError."""
    table, hints = _table(value, at), get_type_hints(kind)
    if unknown := next((key for key in table if key not in hints), None):
        raise at.to(unknown).error(f"unknown key{near(unknown, hints)}")
    if missing := next((key for key in _needed(kind) if key not in table), None):
        raise at.to(missing).error("is missing")
    return kind(**{key: _read(hints[key], entry, at.to(key)) for key, entry in table.items()})


def _needed(kind: type[Any]) -> Iterable[str]:
    return (f.name for f in fields(kind) if f.default is f.default_factory is MISSING)


def near(key: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown key: the one that is meant, or all that there are."""
    close = get_close_matches(key, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(sorted(known))}"


def _read(hint: Any, value: object, at: At) -> object:
    kinds = [kind for kind in get_args(hint) if kind not in (NoneType, Ellipsis)]
    if get_origin(hint) is tuple:
        return _blocks(kinds[0], value, at)
    if get_origin(hint) is Mapping:
        return _texts(value, at) if str in get_args(hint)[1:] else _rates(value, at)
    if get_origin(hint) is dict:
        return _table(value, at)
    kind: type[Any] = kinds[0] if kinds else hint
    return _SCALARS[kind](value, at) if kind in _SCALARS else read(kind, value, at)


def _blocks(kind: type[Any], value: object, at: At) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise at.error("must be a list")
    blocks = cast("list[object]", value)
    return tuple(_read(kind, block, at.to(f"[{i}]")) for i, block in enumerate(blocks))


def _table(value: object, at: At) -> dict[str, object]:
    if not isinstance(value, dict):
        raise at.error("must be a table")
    return cast("dict[str, object]", value)


def _rates(value: object, at: At) -> Mapping[str, float]:
    table = _table(value, at)
    if not table:
        raise at.error("must give a rate for one dtype at least")
    if unknown := next((dtype for dtype in table if dtype not in NUMPY), None):
        raise at.to(unknown).error(f"unknown dtype{near(unknown, NUMPY)}")
    return MappingProxyType({dtype: _number(rate, at.to(dtype)) for dtype, rate in table.items()})


def _texts(value: object, at: At) -> Mapping[str, str]:
    return MappingProxyType({k: _text(v, at.to(k)) for k, v in _table(value, at).items()})


def _number(value: object, at: At) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise at.error(f"must be a number, not {value!r}")
    if not 0 < value < inf:
        raise at.error(f"must be a number over 0, not {value}")
    return float(_in_range(value, at))


def _in_range(value: int | float, at: At) -> int | float:
    """A number that arithmetic of the clock neither overflows on nor loses."""
    if not SMALLEST <= value <= LARGEST:
        shown = str(value)[:MOST_DIGITS]
        raise at.error(f"must be from {SMALLEST:g} to {LARGEST:g}, not {shown}")
    return value


def _count(value: object, at: At) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise at.error(f"must be a whole number, not {value!r}")
    if value <= 0:
        raise at.error(f"must be over 0, not {value}")
    return int(_in_range(value, at))


def _text(value: object, at: At) -> str:
    if not isinstance(value, str) or not value.strip():
        raise at.error(f"must be a text, not {value!r}")
    return " ".join(value.split())


def _truth(value: object, at: At) -> bool:
    if not isinstance(value, bool):
        raise at.error(f"must be true or false, not {value!r}")
    return value


_SCALARS: Mapping[type, Reader] = MappingProxyType(
    {int: _count, float: _number, str: _text, bool: _truth}
)
