"""What a file may be, and may ask for, at most: one frozen value that every reader takes.

Files come from strangers. Each limit is checked before memory or time is spent on what it bounds;
``emu ... --limits KEY=N`` changes one, and docs/limits.md says what each is good for.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import prod
from typing import TYPE_CHECKING

from emu.ir.errors import BadOption, OverLimit, UnknownName

if TYPE_CHECKING:
    from emu.ir.types import TensorType

MOST_RANK = 32  # dimensions of one array, of the oldest numpy that emu runs on
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one model file may be or ask for; the unit is the end of each name.

    ``messages``, ``fields`` and ``nesting`` are those of the protobuf text, ``nodes`` counts those
    of subgraphs and function bodies, and again as often as a function is called. ``folded_bytes``
    are constants that the import computes, ``tensor_bytes`` one value, ``operations`` and
    ``trips`` those of one run, ``seconds`` and ``memory_bytes`` those of the process that works on
    the file, ``printed_bytes`` what it may print.
    """

    file_bytes: int = 2 * GIB  # protobuf itself ends here
    structure_bytes: int = 128 << 20
    messages: int = 3_000_000
    fields: int = 6_000_000
    nesting: int = 64
    string_bytes: int = 65_536
    nodes: int = 131_072
    tensor_bytes: int = 8 * GIB
    folded_bytes: int = 64 << 20
    operations: int = 10**12
    trips: int = 5_000
    seconds: int = 18
    memory_bytes: int = 7 * GIB // 4
    printed_bytes: int = 256 << 20

    def check(self, key: str, found: int, where: str, what: str) -> None:
        """Raise OverLimit, which says ``where`` and ``what`` was found, if it is over a limit."""
        most: int = getattr(self, key)
        if found > most:
            raise OverLimit(
                f"{where}: has {found:,} {what}; the limit is {most:,} (--limits {key}=N)"
            )

    def check_type(self, type: "TensorType", where: str) -> None:
        """Raise OverLimit for a value of too many bytes or dimensions, also if it is empty.

        Symbols count as 1. Empty arrays with a huge dimension overflow in numpy as full ones do.
        """
        if len(type.shape) > MOST_RANK:
            raise OverLimit(f"{where}: has {len(type.shape)} dimensions; {MOST_RANK} is the most")
        sizes = (max(d, 1) for d in type.shape if isinstance(d, int))
        found = prod(sizes) * type.itemsize + type.payload_bytes
        self.check("tensor_bytes", found, where, "bytes")


LIMITS = Limits()
UNLIMITED = Limits(*(sys.maxsize for _ in fields(Limits)))  # for models that emu itself built


KEYS = tuple(field.name for field in fields(Limits))


def limits_with(settings: Mapping[str, int]) -> Limits:
    """Return the default limits with some replaced; raises UnknownName for a key that is none."""
    for key, most in settings.items():
        if key not in KEYS:
            raise UnknownName("limit", key, KEYS)
        if most < 1:
            raise BadOption(f"--limits {key}={most}: a limit is at least 1")
    return replace(LIMITS, **settings)
