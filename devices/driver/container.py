"""The device binary: what the driver is given, and refuses unless every byte of it is right.

    magic, format version, ABI, feature bits, sizes, SHA-256 of all the rest
    ISA name
    section table: kind, offset, size
    portable section: bodies, what each launch means on any device
    native section: tile programs for this ISA, then the commands

A section is a count and that many records. A record is a table of texts and one object, so it
stands alone: equal objects are stored once, and equal bytes are decoded once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Any

from emu.devices.driver.layout import fingerprint, object_form
from emu.devices.driver.stream import Damage, Reader, Writer
from emu.ir.body import Body
from emu.ir.errors import ContainerError
from emu.ir.program import HostCall, Program
from emu.ir.tile import TileProgram

MAGIC = b"\x89EMU\r\n\x1a\n"
VERSION = 1
ABI = fingerprint()
HOST_CALLS = 1  # feature bit: the host computes some of the launches
PORTABLE, NATIVE = 1, 2
KINDS = {PORTABLE: "portable", NATIVE: "native"}

HEADER = Struct("<8sHIIHH32s")  # magic, version, ABI, features, ISA bytes, sections, digest
DIGEST_AT = HEADER.size - 32
ENTRY = Struct("<BQQ")  # kind, offset, size


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """An object as a key by identity: 0.0 equals -0.0 and 1 equals True, but their bytes differ."""

    value: Any

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


def encode(program: Program, isa: str) -> bytes:
    """Return the binary of a program for a device of this ISA.

    Raises ContainerError for a value that the format cannot hold.
    """
    pools: dict[type, dict[bytes, int]] = {Body: {}, TileProgram: {}}

    def share(value: Any) -> int:
        pool = pools[type(value)]
        return pool.setdefault(_shared_record(_Same(value)), len(pool))

    root = _record(program, share)
    portable = _section([*pools[Body]])
    native = _section([*pools[TileProgram], root])
    return _seal(isa.encode(), _features(program), {PORTABLE: portable, NATIVE: native})


def decode(data: bytes, isa: str) -> Program:
    """Return the program of a binary for this ISA.

    Raises ContainerError, with field and offset, unless the bytes are well formed throughout.
    """
    try:
        features, sections = _open(data, isa)
        bodies = _objects(data, sections[PORTABLE], Body)
        program = _native(data, sections[NATIVE], bodies)
    except Damage as damage:
        message = f"container: {damage.field} at byte {damage.at}: {damage.why}"
        raise ContainerError(message) from None
    if features != _features(program):
        raise ContainerError(f"container: features at byte 14: {features:#x} is not what it uses")
    return program


def _features(program: Program) -> int:
    host = any(isinstance(command, HostCall) for command in program.commands)
    return HOST_CALLS if host else 0


@lru_cache(maxsize=4096)
def _shared_record(same: _Same) -> bytes:
    def share(value: Any) -> int:
        raise ContainerError(f"container: a shared object cannot hold a {type(value).__name__}")

    return _record(same.value, share)


def _record(value: object, share: Callable[[Any], int]) -> bytes:
    tree, record = Writer(share), Writer(share)
    kind: type[Any] = type(value)
    object_form(kind).write(tree, value)
    record.number(len(tree.texts))
    for text in tree.texts:
        record.block(text.encode("utf-8", "surrogatepass"))
    return bytes(record.data + tree.data)


def _section(records: list[bytes]) -> bytes:
    out = Writer(len)
    out.number(len(records))
    for record in records:
        out.block(record)
    return bytes(out.data)


def _seal(isa: bytes, features: int, sections: dict[int, bytes]) -> bytes:
    offset, table = HEADER.size + len(isa) + ENTRY.size * len(sections), b""
    for kind, section in sections.items():
        table += ENTRY.pack(kind, offset, len(section))
        offset += len(section)
    rest = isa + table + b"".join(sections.values())
    counts = (len(isa), len(sections))
    head = HEADER.pack(MAGIC, VERSION, ABI, features, *counts, b"")[:DIGEST_AT]
    return head + sha256(head + rest).digest() + rest


@dataclass(frozen=True, slots=True)
class _Span:
    """A named part of the file; offset and size in bytes."""

    name: str
    start: int
    size: int

    def of(self, data: bytes) -> bytes:
        return data[self.start : self.start + self.size]


def _open(data: bytes, isa: str) -> tuple[int, dict[int, _Span]]:
    """Check everything outside of the sections; return the feature bits and the sections."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise Damage("magic", 0, "this is no device binary")
    _, version, abi, features, isa_size, count, digest = HEADER.unpack_from(data)
    if version != VERSION:
        raise Damage("version", 8, f"format {version}, but this driver reads {VERSION}")
    if abi != ABI:
        raise Damage("ABI", 10, f"{abi:#010x}, but this driver has {ABI:#010x}")
    if features & ~HOST_CALLS:
        raise Damage("features", 14, f"unknown bits {features & ~HOST_CALLS:#x}")
    if sha256(data[:DIGEST_AT] + data[HEADER.size :]).digest() != digest:
        raise Damage("digest", DIGEST_AT, "the contents were changed")
    made_for = data[HEADER.size : HEADER.size + isa_size]
    if made_for != isa.encode():
        name = made_for.decode(errors="replace").encode("unicode_escape").decode()
        raise Damage("ISA", HEADER.size, f"made for '{name}', but this device is '{isa}'")
    return features, _table(data, HEADER.size + isa_size, count)


def _table(data: bytes, start: int, count: int) -> dict[int, _Span]:
    """Read the section table; sections must fill the rest of the file, in order, one per kind."""
    offset = start + ENTRY.size * count
    if count != len(KINDS) or offset > len(data):
        raise Damage("section table", start, f"{count} sections, not {len(KINDS)}")
    spans: dict[int, _Span] = {}
    for at in range(start, offset, ENTRY.size):
        kind, begin, size = ENTRY.unpack_from(data, at)
        if kind not in KINDS or kind in spans:
            raise Damage("section kind", at, f"{kind} is unknown or doubled")
        if begin != sum(s.size for s in spans.values()) + offset or begin + size > len(data):
            raise Damage("section offset", at, f"{begin} + {size} is not where a section may lie")
        spans[kind] = _Span(f"{KINDS[kind]} section", begin, size)
    if (end := offset + sum(span.size for span in spans.values())) != len(data):
        raise Damage("file", end, f"{len(data) - end} bytes are left over")
    return spans


def _records(data: bytes, section: _Span) -> Iterator[_Span]:
    """Yield the records of a section, which they must fill."""
    source = Reader(section.of(data), {})
    source.field = section.name
    try:
        for _ in range(source.count()):
            size = len(source.block())
            yield _Span(section.name, section.start + source.at - size, size)
        source.finish()
    except Damage as damage:
        raise Damage(damage.field, section.start + damage.at, damage.why) from None


def _objects(data: bytes, section: _Span, kind: type[Any]) -> tuple[Any, ...]:
    return tuple(_object(data, span, kind) for span in _records(data, section))


def _object(data: bytes, span: _Span, kind: type[Any]) -> Any:
    try:
        return _shared_object(kind, span.of(data))
    except Damage as damage:
        raise Damage(damage.field, span.start + damage.at, damage.why) from None


@lru_cache(maxsize=4096)
def _shared_object(kind: type[Any], record: bytes) -> Any:
    return _decode_record(kind, Reader(record, {}))


def _native(data: bytes, section: _Span, bodies: tuple[Any, ...]) -> Program:
    *shared, root = [*_records(data, section)] or [_Span(section.name, section.start, 0)]
    programs = tuple(_object(data, span, TileProgram) for span in shared)
    source = Reader(root.of(data), {Body: bodies, TileProgram: programs})
    try:
        return _decode_record(Program, source)
    except Damage as damage:
        raise Damage(damage.field, root.start + damage.at, damage.why) from None


def _decode_record(kind: type[Any], source: Reader) -> Any:
    source.field = f"texts of a {kind.__name__}"
    texts = [source.block() for _ in range(source.count())]
    try:
        source.texts = tuple(text.decode("utf-8", "surrogatepass") for text in texts)
    except UnicodeDecodeError as error:
        raise source.damage(f"a text is not UTF-8: {error.reason}") from None
    value = object_form(kind).read(source)
    source.finish()
    return value
