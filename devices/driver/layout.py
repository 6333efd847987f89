"""How the frozen classes of a program become bytes, derived from their field annotations.

CLASSES is the one table: a tag is a position in it, so a new class is appended. Fields stand in
the order of the class; ``fingerprint`` changes with any of that, so that a driver never misreads
what another layout wrote.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints
from zlib import crc32

from emu.devices.driver.stream import DEEPEST, LARGEST, NUMBERED, Reader, Writer
from emu.ir.body import Body, BodyNode
from emu.ir.errors import ContainerError
from emu.ir.program import Alloc, Copy, Drop, Free, HostCall, Keep, Launch, Program, Replay, Wait
from emu.ir.tile import (
    Axis,
    Buffer,
    Compute,
    Fill,
    Gather,
    Load,
    Loop,
    Nest,
    Operand,
    Store,
    TileProgram,
    View,
)
from emu.ir.types import TensorType

CLASSES: tuple[type[Any], ...] = (
    *(Program, Alloc, Free, Copy, Launch, HostCall, Wait),
    *(TensorType, BodyNode, Body),
    *(Axis, Loop, Buffer, Operand, View, TileProgram),
    *(Load, Gather, Store, Fill, Compute, Nest),
    *(Keep, Drop, Replay),
)
TAGS = {kind: tag for tag, kind in enumerate(CLASSES)}
# Stored once each and named by number where a command holds them.
SHARED: tuple[type[Any], ...] = (Body, TileProgram)
# Tags of alternatives that are no class follow after those of all classes.
PLAIN = NUMBERED


@dataclass(frozen=True, slots=True)
class Form:
    """The bytes of one kind of value: which values it takes, how to write and how to read them."""

    accepts: Callable[[Any], bool]
    write: Callable[[Writer, Any], None]
    read: Callable[[Reader], Any]


@cache
def layout(kind: type[Any]) -> tuple[tuple[str, str, Form], ...]:
    """Return label, name and form of each field of a class in the table."""
    hints = get_type_hints(kind)
    return tuple((f"{kind.__name__}.{f.name}", f.name, form(hints[f.name])) for f in fields(kind))


def fingerprint() -> int:
    """Return a checksum of all classes, their fields and the types of these."""
    rows = [
        f"{kind.__name__}({', '.join(f'{f.name}: {f.type}' for f in fields(kind))})"
        for kind in CLASSES
    ]
    return crc32("\n".join(rows).encode())


def form(hint: Any) -> Form:
    """Return the form of an annotation; raises ContainerError if the format has none for it."""
    origin, args = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin in (UnionType, Union):
        return _union(args)
    if origin is tuple:
        return _sequence(args[0]) if args[-1] is Ellipsis else _record(args)
    if origin is frozenset:
        return _set(args[0])
    if is_dataclass(hint) and hint in TAGS:
        return _shared(cast(Any, hint)) if hint in SHARED else object_form(cast(Any, hint))
    raise ContainerError(f"container: no bytes are defined for a field of type {hint}")


def object_form(kind: type[Any]) -> Form:
    """Return the form of an object of one class: its fields in order."""

    def write(out: Writer, value: Any) -> None:
        for label, name, field in layout(kind):
            part = getattr(value, name)
            if not field.accepts(part):
                raise ContainerError(f"container: {label} cannot hold {part!r}")
            field.write(out, part)

    def read(source: Reader) -> Any:
        source.depth += 1
        if source.depth > DEEPEST:
            raise source.damage(f"is nested over {DEEPEST} deep")
        values: list[Any] = []
        for source.field, _, field in layout(kind):
            values.append(field.read(source))
        source.depth -= 1
        return kind(*values)

    return Form(lambda value: type(value) is kind, write, read)


def _shared(kind: type[Any]) -> Form:
    def read(source: Reader) -> Any:
        number, known = source.number(), source.shared.get(kind, ())
        if number >= len(known):
            raise source.damage(f"{kind.__name__} {number} of {len(known)} does not exist")
        return known[number]

    return Form(
        lambda value: type(value) is kind, lambda out, value: out.number(out.share(value)), read
    )


def _union(hints: tuple[Any, ...]) -> Form:
    """One byte says which alternative follows: a class by its tag, others by their position."""
    forms = {_tag(hint, place): form(hint) for place, hint in enumerate(hints)}
    of_class: dict[object, tuple[int, Form]] = {
        kind: (tag, forms[tag]) for kind, tag in TAGS.items() if tag in forms
    }

    def write(out: Writer, value: Any) -> None:
        found = of_class.get(cast(object, type(value)))  # most alternatives are classes
        tag, chosen = found or next((t, f) for t, f in forms.items() if f.accepts(value))
        out.tag(tag)
        chosen.write(out, value)

    def read(source: Reader) -> Any:
        tag = source.tag()
        if tag not in forms:
            raise source.damage(f"unknown tag {tag}")
        return forms[tag].read(source)

    return Form(lambda value: any(f.accepts(value) for f in forms.values()), write, read)


def _tag(hint: Any, place: int) -> int:
    return TAGS[hint] if hint in TAGS else PLAIN + place


def _sequence(hint: Any) -> Form:
    item = form(hint)

    def accepts(value: Any) -> bool:
        parts = _parts(value)
        return parts is not None and all(map(item.accepts, parts))

    def write(out: Writer, value: Any) -> None:
        out.number(len(value))
        for part in value:
            item.write(out, part)

    def read(source: Reader) -> Any:
        return tuple([item.read(source) for _ in range(source.count())])

    return Form(accepts, write, read)


def _record(hints: tuple[Any, ...]) -> Form:
    items = [form(hint) for hint in hints]

    def accepts(value: Any) -> bool:
        parts = _parts(value)
        if parts is None or len(parts) != len(items):
            return False
        return all(f.accepts(v) for f, v in zip(items, parts, strict=True))

    def write(out: Writer, value: Any) -> None:
        for item, part in zip(items, value, strict=True):
            item.write(out, part)

    return Form(accepts, write, lambda source: tuple([item.read(source) for item in items]))


def _parts(value: object) -> tuple[Any, ...] | None:
    return cast("tuple[Any, ...]", value) if isinstance(value, tuple) else None


def _set(hint: Any) -> Form:
    items = _sequence(hint)
    return Form(
        lambda value: type(value) is frozenset,
        lambda out, value: items.write(out, tuple(sorted(value))),
        lambda source: frozenset(items.read(source)),
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and -LARGEST // 2 <= value < LARGEST // 2


def _read_flag(source: Reader) -> bool:
    flag = source.number()
    if flag > 1:
        raise source.damage(f"a flag is 0 or 1, not {flag}")
    return flag == 1


_SCALARS: dict[Any, Form] = {
    NoneType: Form(lambda value: value is None, lambda out, value: None, lambda source: None),
    bool: Form(lambda value: type(value) is bool, Writer.number, _read_flag),
    int: Form(_is_integer, Writer.integer, Reader.integer),
    float: Form(
        lambda value: isinstance(value, float) or _is_integer(value), Writer.double, Reader.double
    ),
    str: Form(lambda value: isinstance(value, str), Writer.text, Reader.text),
}
