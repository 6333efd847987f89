"""The inside of a device binary: a table of sections, their records, and the objects in these."""

from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from emu.devices.driver.isa import Isa
from emu.devices.driver.layout import object_form
from emu.devices.driver.stream import Damage, Reader

KINDS = {1: "portable", 2: "native", 3: "signature"}


class Span(NamedTuple):
    """A named part of the file; offset and size in bytes."""

    name: str
    start: int
    size: int

    def of(self, data: bytes) -> bytes:
        """The bytes of this part."""
        return data[self.start : self.start + self.size]


def table(data: bytes, start: int, count: int, entry: Struct) -> dict[int, Span]:
    """Read the section table; sections must fill the rest of the file, in the order of KINDS."""
    offset = start + entry.size * count
    if not 1 <= count <= len(KINDS) or offset > len(data):
        raise Damage("section table", start, f"{count} sections, not 1 to {len(KINDS)}")
    spans: dict[int, Span] = {}
    for at in range(start, start + entry.size * count, entry.size):
        kind, begin, size = entry.unpack_from(data, at)
        if kind not in KINDS or kind <= max(spans, default=0):
            raise Damage("section kind", at, f"{kind} is unknown or out of order")
        if begin != offset or begin + size > len(data):
            raise Damage("section offset", at, f"{begin} + {size} is not where a section may lie")
        spans[kind] = Span(f"{KINDS[kind]} section", begin, size)
        offset += size
    if offset != len(data):
        raise Damage("file", offset, f"{len(data) - offset} bytes are left over")
    if 1 not in spans:
        raise Damage("section table", start, "there is no portable section")
    return spans


def records(data: bytes, section: Span) -> list[Span]:
    """The records of a section, which they must fill."""
    source = Reader(section.of(data), {})
    source.field = section.name
    found: list[Span] = []
    try:
        for _ in range(source.count()):
            size = len(source.block())
            found.append(Span(section.name, section.start + source.at - size, size))
        source.finish()
    except Damage as damage:
        raise Damage(damage.field, section.start + damage.at, damage.why) from None
    return found


def object_of(data: bytes, span: Span, kind: type[Any], isa: Isa | None) -> Any:
    """The object of a record, in the words and opcodes of ``isa`` if it has one."""
    try:
        return _shared_object(kind, span.of(data), isa)
    except Damage as damage:
        raise Damage(damage.field, span.start + damage.at, damage.why) from None


@lru_cache(maxsize=4096)
def _shared_object(kind: type[Any], record: bytes, isa: Isa | None) -> Any:
    if isa is None:
        return decode_record(kind, Reader(record, {}))
    return decode_record(kind, Reader(isa.record(record), {}, isa.tags))


def decode_record(kind: type[Any], source: Reader) -> Any:
    """Read a table of texts and one object, which must fill the record."""
    source.field = f"texts of a {kind.__name__}"
    texts = [source.block() for _ in range(source.count())]
    try:
        source.texts = tuple(text.decode("utf-8", "surrogatepass") for text in texts)
    except UnicodeDecodeError as error:
        raise source.damage(f"a text is not UTF-8: {error.reason}") from None
    value = object_form(kind).read(source)
    source.finish()
    return value
