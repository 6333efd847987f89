"""Frozen values as JSON and back; on the way in every type is checked, since files lie."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from math import isfinite
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

LARGEST = 2**63 - 1

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """What JSON can hold of a value: objects for dataclasses and mappings, base64 for bytes."""
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        pairs = cast(Mapping[str, Any], value)
        return {key: to_json(part) for key, part in pairs.items()}
    if isinstance(value, tuple):
        return [to_json(part) for part in cast(tuple[Any, ...], value)]
    return b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def from_json(kind: type[T], data: Any, where: str = "") -> T:
    """Return the value of a type that ``to_json`` wrote; raises ValueError with the place."""
    return cast(T, _value(kind, data, where))


def _value(kind: Any, data: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _record(kind, data, where)
    if isinstance(kind, UnionType):
        return _either(get_args(kind), data, where)
    origin = get_origin(kind)
    if origin is tuple:
        item = get_args(kind)[0]
        parts = enumerate(_is(list, data, where))
        return tuple(_value(item, part, f"{where}[{i}]") for i, part in parts)
    if origin is Mapping:
        item = get_args(kind)[1]
        pairs = _is(dict, data, where).items()
        return {key: _value(item, part, f"{where}.{key}") for key, part in pairs}
    return _plain(kind, data, where)


def _record(kind: Any, data: Any, where: str) -> Any:
    given = _is(dict, data, where)
    types = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    if extra := sorted(given.keys() - known.keys()):
        raise ValueError(f"{where}.{extra[0]} is not known")
    if missing := [n for n, field in known.items() if n not in given and _is_needed(field)]:
        raise ValueError(f"{where}.{missing[0]} is missing")
    return kind(**{name: _value(types[name], given[name], f"{where}.{name}") for name in given})


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _either(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    """The value of the first kind that the data can be of, else of the last, which says so."""
    fits = (kind for kind in kinds if type(data) is (dict if is_dataclass(kind) else kind))
    return _value(next(fits, kinds[-1]), data, where)


def _plain(kind: Any, data: Any, where: str) -> Any:
    if kind is bytes:
        return b64decode(_is(str, data, where), validate=True)
    _is(kind, data, where)
    if (kind is int and abs(data) > LARGEST) or (kind is float and not isfinite(data)):
        raise ValueError(f"{where} is too large")
    return data


def _is(kind: Any, data: Any, where: str) -> Any:
    """``data`` if it is of exactly this type (true is no number here)."""
    if type(data) is not kind:
        raise ValueError(f"{where} is not of type {kind.__name__}")
    return data
