"""Other spellings of the same mathematics: small rewrites of a graph as it was imported."""

from collections.abc import Mapping
from types import MappingProxyType

from emu.ir.spellings.arithmetic import ARITHMETIC, MORE_ARITHMETIC
from emu.ir.spellings.movement import MOVEMENT
from emu.ir.spellings.products import PRODUCTS
from emu.ir.spellings.site import Respelled, Site, Spelling, respell

__all__ = ["SIMPLE", "SPELLINGS", "Respelled", "Site", "Spelling", "respell"]

SIMPLE = tuple(spelling.name for spelling in ARITHMETIC)  # no group may change by structure
SPELLINGS: Mapping[str, Spelling] = MappingProxyType(
    {s.name: s for s in (*ARITHMETIC, *PRODUCTS, *MOVEMENT, *MORE_ARITHMETIC)}
)
