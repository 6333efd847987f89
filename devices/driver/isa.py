"""Instruction sets: how a chip numbers what tile programs do, and in which words it reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from emu.devices.driver.layout import CLASSES, TAGS
from emu.devices.driver.stream import NUMBERED, Damage
from emu.ir.errors import ContainerError

WORDS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Isa:
    """A name, two version numbers, opcodes by name of the class, and bytes per word.

    What ``opcodes`` does not number keeps the number that it has in emu's own instruction set.
    """

    name: str
    major: int = 1
    minor: int = 0
    word_bytes: int = 1
    opcodes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def __post_init__(self) -> None:
        """Raise ContainerError unless each opcode stands for one class."""
        if self.word_bytes not in WORDS:
            raise ContainerError(f"ISA {self.name}: a word of {self.word_bytes} bytes")
        if unknown := self.opcodes.keys() - {kind.__name__ for kind in CLASSES}:
            raise ContainerError(f"ISA {self.name}: nothing is called {min(unknown)}")
        numbers = self.numbers
        if len(set(numbers)) != len(numbers) or not all(0 <= n < NUMBERED for n in numbers):
            raise ContainerError(f"ISA {self.name}: opcodes are distinct numbers from 0 to 63")

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The opcode of each class, in the order of emu's own numbers."""
        return tuple(self.opcodes.get(kind.__name__, TAGS[kind]) for kind in CLASSES)

    @cached_property
    def tags(self) -> Mapping[int, int]:
        """The number that emu has for each opcode."""
        return MappingProxyType({opcode: tag for tag, opcode in enumerate(self.numbers)})

    def words(self, record: bytes) -> bytes:
        """A record in whole words, each with its most significant byte first."""
        size = self.word_bytes
        padded = record + b"\x01" + bytes(-(len(record) + 1) % size)
        return b"".join(padded[i : i + size][::-1] for i in range(0, len(padded), size))

    def record(self, words: bytes) -> bytes:
        """The record of ``words``; raises Damage if they are no words of this set."""
        size = self.word_bytes
        if len(words) % size:
            raise Damage("words", 0, f"{len(words)} bytes are no words of {size}")
        padded = b"".join(words[i : i + size][::-1] for i in range(0, len(words), size))
        record = padded.rstrip(b"\x00")
        if not record.endswith(b"\x01") or len(padded) - len(record) >= size:
            raise Damage("words", len(words), f"no record ends in the last word of {size} bytes")
        return record[:-1]
