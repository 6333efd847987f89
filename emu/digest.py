"""Digests of frozen values that are the same in every process and on every machine."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from json import dumps
from typing import Any, cast

PLAIN = (str, int, float, bool, type(None))


def digest(value: object) -> str:
    """Return the SHA-256 of a value made of dataclasses, mappings, tuples, sets and plain ones.

    Names of classes and fields count, so a new field gives new digests; raises TypeError for a
    value of any other kind.
    """
    return sha256(dumps(_plain(value)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, PLAIN):
        return value
    if is_dataclass(value):
        named = ((f.name, _plain(getattr(value, f.name))) for f in fields(value))
        return [type(value).__name__, dict(named)]
    if isinstance(value, Mapping):
        pairs = cast(Mapping[object, object], value).items()
        return {"mapping": sorted(([_plain(k), _plain(v)] for k, v in pairs), key=dumps)}
    if isinstance(value, frozenset):
        return {"set": sorted((_plain(v) for v in cast(Iterable[object], value)), key=dumps)}
    if isinstance(value, tuple):
        return [_plain(v) for v in cast(tuple[object, ...], value)]
    raise TypeError(f"a {type(value).__name__} has no digest")
