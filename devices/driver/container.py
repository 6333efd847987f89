"""The device binary: what the driver is given, and refuses unless every byte of it is right.

    magic, format, ABI, features, versions, sizes, SHA-256 of all the rest
    ISA name
    section table: kind, offset, size
    portable section: bodies, what each launch means on any device, then the commands
    native section: the tile programs in the words and opcodes of the ISA; may be missing
    signature section: a number over the other two; may be missing

A section is a count and that many records. A record is a table of texts and one object, so it
stands alone: equal objects are stored once, and equal bytes are decoded once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Any

from emu.devices.driver.isa import Isa
from emu.devices.driver.layout import fingerprint, object_form
from emu.devices.driver.sections import Span, decode_record, object_of, records, table
from emu.devices.driver.stream import Damage, Reader, Writer
from emu.ir.body import Body
from emu.ir.errors import ContainerError
from emu.ir.program import HostCall, Keep, Program, Replay
from emu.ir.tile import TileProgram

MAGIC = b"\x89EMU\r\n\x1a\n"
ABI = fingerprint()
HOST_CALLS = 1  # feature bit: the host computes some of the launches
KEPT = 2  # feature bit: values stay on chip between launches
REPLAYED = 4  # feature bit: launches are issued as graphs
FEATURES = HOST_CALLS | KEPT | REPLAYED
PORTABLE, NATIVE, SIGNATURE = 1, 2, 3
# Entries of the section table by format: format 1 cannot hold sections of 4 GiB.
ENTRIES: Mapping[int, Struct] = {1: Struct("<BII"), 2: Struct("<BQQ")}
NEWEST = max(ENTRIES)

# magic, format, ABI, features on, features off, portable version, ISA major, minor, bytes of its
# name, sections, digest
HEADER = Struct("<8sHIIIHHHHH32s")
DIGEST_AT = HEADER.size - 32


@dataclass(frozen=True)
class Image:
    """What a compiler puts into a binary besides the program.

    ``portable`` is the version of a portable section that drivers may compile from, 0 for none;
    ``sign`` makes a signature of the number that the sections hash to; ``off`` are feature bits
    that a driver must not have.
    """

    native: bool = True
    portable: int = 0
    format: int = NEWEST
    off: int = 0
    sign: Callable[[int], int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """An object as a key by identity: 0.0 equals -0.0 and 1 equals True, but their bytes differ."""

    value: Any

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


@dataclass(frozen=True)
class Opened:
    """A binary whose frame is sound: header fields, and where its sections lie."""

    data: bytes
    on: int
    off: int
    portable: int
    isa: str
    major: int
    minor: int
    sections: Mapping[int, Span]

    @property
    def signed(self) -> int:
        """The number that a signature is made of."""
        return _signed(
            self.sections[kind].of(self.data)
            for kind in (PORTABLE, NATIVE)
            if kind in self.sections
        )

    @property
    def signature(self) -> int | None:
        """The signature, None if there is none."""
        span = self.sections.get(SIGNATURE)
        return None if span is None else int.from_bytes(span.of(self.data), "little")


def encode(program: Program, isa: Isa, image: Image | None = None) -> bytes:
    """Return the binary of a program for devices of this ISA.

    Raises ContainerError for a value that the format cannot hold.
    """
    image = image or Image()
    pools: dict[type, dict[bytes, int]] = {Body: {}, TileProgram: {}}
    numbers: dict[int, int] = {}  # by identity: the program keeps all of these objects

    def share(value: Any) -> int:
        if id(value) not in numbers:
            pool = pools[type(value)]
            target = isa if type(value) is TileProgram else None
            record = _shared_record(_Same(value), target)
            numbers[id(value)] = pool.setdefault(record, len(pool))
        return numbers[id(value)]

    root = _record(program, share)
    count = Writer(len)
    count.number(len(pools[TileProgram]))
    sections = {PORTABLE: _section([bytes(count.data), *pools[Body], root])}
    if image.native:
        sections[NATIVE] = _section([*pools[TileProgram]])
    if image.sign is not None:
        number = image.sign(_signed(sections.values()))
        sections[SIGNATURE] = number.to_bytes(-(-number.bit_length() // 8), "little")
    return _seal(isa, image, _features(program), sections)


def _signed(sections: Iterable[bytes]) -> int:
    return int.from_bytes(sha256(b"".join(sections)).digest(), "big")


def _features(program: Program) -> int:
    kinds = {type(command) for command in program.commands}
    bits = ((HostCall, HOST_CALLS), (Keep, KEPT), (Replay, REPLAYED))
    return sum(bit for kind, bit in bits if kind in kinds)


@lru_cache(maxsize=4096)
def _shared_record(same: _Same, isa: Isa | None) -> bytes:
    def share(value: Any) -> int:
        raise ContainerError(f"container: a shared object cannot hold a {type(value).__name__}")

    record = _record(same.value, share, isa)
    return record if isa is None else isa.words(record)


def _record(value: object, share: Callable[[Any], int], isa: Isa | None = None) -> bytes:
    tree, record = Writer(share, () if isa is None else isa.numbers), Writer(share)
    kind: type[Any] = type(value)
    object_form(kind).write(tree, value)
    record.number(len(tree.texts))
    for text in tree.texts:
        record.block(text.encode("utf-8", "surrogatepass"))
    return bytes(record.data + tree.data)


def _section(found: list[bytes]) -> bytes:
    out = Writer(len)
    out.number(len(found))
    for record in found:
        out.block(record)
    return bytes(out.data)


def _seal(isa: Isa, image: Image, features: int, sections: dict[int, bytes]) -> bytes:
    entry, name = ENTRIES[image.format], isa.name.encode()
    offset, entries = HEADER.size + len(name) + entry.size * len(sections), b""
    for kind, section in sections.items():
        entries += entry.pack(kind, offset, len(section))
        offset += len(section)
    rest = name + entries + b"".join(sections.values())
    versions = (image.portable, isa.major, isa.minor, len(name), len(sections))
    head = HEADER.pack(MAGIC, image.format, ABI, features, image.off, *versions, b"")[:DIGEST_AT]
    return head + sha256(head + rest).digest() + rest


def open_binary(data: bytes) -> Opened:
    """Check everything outside of the sections; raises Damage with field and offset."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise Damage("magic", 0, "this is no device binary")
    _, form, abi, on, off, *versions, digest = HEADER.unpack_from(data)
    portable, major, minor, name_size, count = versions
    if form not in ENTRIES:
        raise Damage("format", 8, f"{form}, but there are {' and '.join(map(str, ENTRIES))}")
    if abi != ABI:
        raise Damage("ABI", 10, f"{abi:#010x}, but this driver has {ABI:#010x}")
    if (on | off) & ~FEATURES or on & off:
        raise Damage("features", 14, f"{on:#x} on and {off:#x} off are not to be had")
    if sha256(data[:DIGEST_AT] + data[HEADER.size :]).digest() != digest:
        raise Damage("digest", DIGEST_AT, "the contents were changed")
    name = data[HEADER.size : HEADER.size + name_size].decode(errors="replace")
    sections = table(data, HEADER.size + name_size, count, ENTRIES[form])
    return Opened(data, on, off, portable, name, major, minor, sections)


def decode(opened: Opened, isa: Isa | None) -> Program:
    """Return the program with the tile programs of the native section, read as ``isa`` has it.

    Without an ISA each launch has a placeholder instead. Raises ContainerError, with field and
    offset, unless the bytes are well formed throughout.
    """
    try:
        program = _decode(opened, isa)
    except Damage as damage:
        raise named(damage) from None
    if opened.on != _features(program):
        raise ContainerError(f"container: features at byte 14: {opened.on:#x} is not what it uses")
    return program


def named(damage: Damage) -> ContainerError:
    """The error that people see."""
    return ContainerError(f"container: {damage.field} at byte {damage.at}: {damage.why}")


def _decode(opened: Opened, isa: Isa | None) -> Program:
    data = opened.data
    first, *inner, root = _at_least_two(records(data, opened.sections[PORTABLE]))
    count = Reader(first.of(data), {})
    count.field = "number of tile programs"
    programs = count.number()
    if programs > len(data):
        raise Damage(count.field, first.start, f"{programs} cannot be in {len(data)} bytes")
    bodies = tuple(object_of(data, span, Body, None) for span in inner)
    tiles = _placeholders(programs) if isa is None else _native(opened, isa, programs)
    source = Reader(root.of(data), {Body: bodies, TileProgram: tiles})
    try:
        return decode_record(Program, source)
    except Damage as damage:
        raise Damage(damage.field, root.start + damage.at, damage.why) from None


def _at_least_two(found: list[Span]) -> list[Span]:
    if len(found) < 2:
        raise Damage("portable section", found[0].start if found else 0, "has no commands")
    return found


def _native(opened: Opened, isa: Isa, programs: int) -> tuple[TileProgram, ...]:
    span = opened.sections[NATIVE]
    found = records(opened.data, span)
    if len(found) != programs:
        raise Damage(span.name, span.start, f"{len(found)} tile programs, not {programs}")
    return tuple(object_of(opened.data, record, TileProgram, isa) for record in found)


@lru_cache(maxsize=64)
def _placeholders(count: int) -> tuple[TileProgram, ...]:
    return tuple(TileProgram(f"#{i}", (), (), (), ()) for i in range(count))
