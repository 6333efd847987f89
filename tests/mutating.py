"""Damage to files: bytes for binaries, lines and values for texts."""

from collections.abc import Callable
from random import Random

from emu.ir.errors import EmuError

# Values that readers stumble over: of other types, without end, too large, not finite, not text.
VALUES = (
    "-1",
    "0",
    "1e999",
    "nan",
    "true",
    "[]",
    "{}",
    '""',
    "9" * 30,
    "9" * 5000,
    '"\\u0000"',
    "[[]]",
    "{value = 1}",
    "1979-05-27",
    "[" * 200 + "]" * 200,
    "[" * 5000,
)


def text_of(source: str, random: Random) -> str:
    """A text file with one to three lines damaged."""
    lines = source.splitlines()
    for _ in range(random.randint(1, 3)):
        lines = random.choice(LINES)(lines, random)
    return "\n".join(lines)


def _dropped(lines: list[str], random: Random) -> list[str]:
    at = random.randrange(len(lines) + 1)
    return lines[:at] + lines[at + 1 :]


def _doubled(lines: list[str], random: Random) -> list[str]:
    at = random.randrange(len(lines) + 1)
    return lines[:at] + lines[at : at + 1] * 2 + lines[at + 1 :]


def _cut(lines: list[str], random: Random) -> list[str]:
    return lines[: random.randrange(len(lines) + 1)]


def _valued(lines: list[str], random: Random) -> list[str]:
    places = [i for i, line in enumerate(lines) if "=" in line]
    if not places:
        return lines
    at = random.choice(places)
    key = lines[at].partition("=")[0]
    return [*lines[:at], f"{key}= {random.choice(VALUES)}", *lines[at + 1 :]]


def _typed(lines: list[str], random: Random) -> list[str]:
    if not lines:
        return lines
    at = random.randrange(len(lines))
    line = lines[at]
    place = random.randrange(len(line) + 1)
    typed = chr(random.choice((*range(32, 127), 0, 0x00E9, 0x1F600)))
    return [*lines[:at], line[:place] + typed + line[place + 1 :], *lines[at + 1 :]]


LINES: tuple[Callable[[list[str], Random], list[str]], ...] = (
    _dropped,
    _doubled,
    _cut,
    _valued,
    _valued,
    _typed,
)


def bytes_of(source: bytes, random: Random) -> bytes:
    """A binary with bytes overwritten, taken out, put in, or the end cut off."""
    data = bytearray(source)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes((random.randrange(256),))
        elif kind == 1:
            data[at : at + random.randint(1, 8)] = b""
        elif kind == 2:
            data[at:at] = b"\xff" * random.randint(1, 9)
        elif kind == 3:
            data[at : at + 4] = random.choice(
                (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")
            )
        else:
            del data[max(at, 1) :]
    return bytes(data)


def refusal(read: Callable[[], object]) -> str:
    """What a reader says of a file: one line of a named error, "" if it takes it."""
    try:
        read()
    except EmuError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        return said
    return ""
