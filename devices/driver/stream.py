"""Numbers and texts as bytes: LEB128 varints, zigzag for signs, little-endian doubles."""

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any

DOUBLE = Struct("<d")
DEEPEST = 64
LARGEST = 1 << 64
NUMBERED = 64  # opcodes of instruction sets are below


class Damage(Exception):
    """Bytes that mean nothing: in which field, at which offset, and why."""

    def __init__(self, field: str, at: int, why: str) -> None:
        """Keep the three apart, so that an outer reader can move the offset."""
        super().__init__(field, at, why)
        self.field, self.at, self.why = field, at, why


def shown(text: str) -> str:
    """Text that quotes a file, escaped if a terminal cannot show all of it."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


class Writer:
    """Bytes that grow; each distinct text is numbered once.

    ``share`` stores an object elsewhere and returns its number; ``opcodes`` are numbers of tags.
    """

    def __init__(self, share: Callable[[Any], int], opcodes: Sequence[int] = ()) -> None:
        """Start empty."""
        self.share = share
        self.opcodes = opcodes
        self.data = bytearray()
        self.texts: dict[str, int] = {}

    def number(self, value: int) -> None:
        """Append a number from 0 to 2^64 - 1."""
        while value > 127:
            self.data.append(value & 127 | 128)
            value >>= 7
        self.data.append(value)

    def tag(self, value: int) -> None:
        """Append the opcode of a tag; tags without one stand for themselves."""
        self.data.append(self.opcodes[value] if value < len(self.opcodes) else value)

    def integer(self, value: int) -> None:
        """Append a number of either sign within 64 bits."""
        self.number(value << 1 if value >= 0 else (-value << 1) - 1)

    def double(self, value: float) -> None:
        """Append eight bytes."""
        self.data += DOUBLE.pack(value)

    def text(self, value: str) -> None:
        """Append the number of a text."""
        self.number(self.texts.setdefault(value, len(self.texts)))

    def block(self, value: bytes) -> None:
        """Append a size and that many bytes."""
        self.number(len(value))
        self.data += value


class Reader:
    """A place in bytes; every reading checks that it stays within them.

    ``field`` is what is being read, for messages; ``shared`` are the objects of each class that
    references of this record may name; ``tags`` are the tags of opcodes.
    """

    __slots__ = ("at", "data", "depth", "end", "field", "shared", "tags", "texts")

    def __init__(
        self,
        data: bytes,
        shared: Mapping[type, tuple[Any, ...]],
        tags: Mapping[int, int] | None = None,
    ) -> None:
        """Start at the first byte."""
        self.data, self.shared, self.tags = data, shared, tags
        self.at, self.end, self.depth, self.field = 0, len(data), 0, ""
        self.texts: tuple[str, ...] = ()

    def damage(self, why: str) -> Damage:
        """Return the error that what stands here is wrong."""
        return Damage(self.field, self.at, why)

    def number(self) -> int:
        """Read a number from 0 to 2^64 - 1."""
        if self.at < self.end and self.data[self.at] < 128:
            self.at += 1
            return self.data[self.at - 1]
        return self._long_number()

    def _long_number(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128 and value < LARGEST:
                return value
        raise self.damage("the number has more than 64 bits")

    def _byte(self) -> int:
        if self.at >= self.end:
            raise self.damage("the bytes end in the middle")
        self.at += 1
        return self.data[self.at - 1]

    def tag(self) -> int:
        """Read an opcode and return its tag."""
        number = self.number()
        return number if self.tags is None or number >= NUMBERED else self.tags.get(number, -1)

    def integer(self) -> int:
        """Read a number of either sign."""
        value = self.number()
        return -(value + 1 >> 1) if value & 1 else value >> 1

    def double(self) -> float:
        """Read eight bytes."""
        return float(DOUBLE.unpack(self._take(8))[0])

    def count(self) -> int:
        """Read how many items follow; each takes a byte at least, so more cannot be true."""
        count = self.number()
        if count > self.end - self.at:
            raise self.damage(f"{count} items cannot follow in {self.end - self.at} bytes")
        return count

    def text(self) -> str:
        """Read the number of a text and return the text."""
        number = self.number()
        if number >= len(self.texts):
            raise self.damage(f"text {number} of {len(self.texts)} does not exist")
        return self.texts[number]

    def block(self) -> bytes:
        """Read a size and that many bytes."""
        return self._take(self.count())

    def finish(self) -> None:
        """Check that nothing is left over."""
        if self.at != self.end:
            raise self.damage(f"{self.end - self.at} bytes are left over")

    def _take(self, size: int) -> bytes:
        if size > self.end - self.at:
            raise self.damage("the bytes end in the middle")
        self.at += size
        return self.data[self.at - size : self.at]
