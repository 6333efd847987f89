"""Layouts as files of the catalogue spell them: index maps, which are executed on an array."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Any, cast

import numpy as np

from emu.devices.fields import At
from emu.ir.errors import LayoutUnrepresentable
from emu.ir.index_map import IndexMap, extents, pack, spelled, unpack
from emu.ir.layout import same_bytes, stored_by
from emu.ir.types import TensorType
from emu.lockin.parts import Catalogue, Interface, Part

KIND = "layout"
FAMILIES = ("images", "rows")  # values of convolutions, and of matrix products
OPERANDS = ("data", "weight")
GROUPED = "grouped"  # weights of convolutions with groups, where they lie in another way
MOST_ELEMENTS = 1 << 20  # of the array by which a map is tried


def check_layout(table: Mapping[str, Any], at: At) -> None:
    """Raise CatalogueError unless entries spell an index map for each operand of a family."""
    for family, said in table.items():
        place = at.to(family)
        if family not in FAMILIES:
            raise place.error(f"is none of {', '.join(FAMILIES)}")
        if not isinstance(said, dict):
            raise place.error(f"must be a table of {', '.join(OPERANDS)}")
        _check_maps(cast("dict[str, object]", said), place)


def _check_maps(said: Mapping[str, object], at: At) -> None:
    if missing := next((operand for operand in OPERANDS if operand not in said), None):
        raise at.to(missing).error("is missing")
    for operand, text in said.items():
        if operand not in (*OPERANDS, GROUPED):
            raise at.to(operand).error(f"is none of {', '.join((*OPERANDS, GROUPED))}")
        try:
            map = spelled(text if isinstance(text, str) else "")
        except ValueError as error:
            raise at.to(operand).error(str(error)) from error
        _check_room(map, at.to(operand))


def _check_room(map: IndexMap, at: At) -> None:
    """Raise CatalogueError for blocks so large that an array of them is not made."""
    dims = _ragged(map)
    room = prod(extent for _, extent in extents(map, dims))
    if max(room, prod(dims)) > MOST_ELEMENTS:
        raise at.error(f"has blocks of more than {MOST_ELEMENTS:,} elements")


def claimed(part: Part, catalogue: Catalogue) -> frozenset[str]:
    """The layouts, as kernels know them, of which a library or a chip says that it takes them.

    Each map is executed on an array first; raises LayoutUnrepresentable if it loses elements.
    """
    names: list[str] = part.fact("layouts")
    return frozenset[str]().union(*(_stored(catalogue.interfaces[name]) for name in names))


def lies_in(type: TensorType, layouts: frozenset[str]) -> bool:
    """Whether the bytes of a value are those that it has in one of some layouts."""
    if type.layout in layouts:
        return True
    same = same_bytes(type.layout, type.dims)
    return same is None or not same.isdisjoint(layouts)


@lru_cache(maxsize=1024)
def _stored(layout: Interface) -> frozenset[str]:
    """The layouts that the maps of a file are; one that no kernel knows is none."""
    found = {stored_by(spelled(text)) for text in _maps(layout) if _is_kept(layout, text)}
    return frozenset(name for name in found if name is not None)


def _maps(layout: Interface) -> Iterator[str]:
    return (text for maps in layout.table.values() for text in maps.values())


def _is_kept(layout: Interface, text: str) -> bool:
    """Pack an array by a map and unpack it; all that went in must come out."""
    map = spelled(text)
    dims = _ragged(map)
    array = 1 + np.arange(prod(dims)).reshape(dims)
    kept = int(np.count_nonzero(unpack(map, pack(map, array), dims) == array))
    if kept != array.size:
        tried = f"a value is packed as '{text}' of {layout.name} and unpacked"
        what = f"{layout.path}: versions: {tried}"
        raise LayoutUnrepresentable(what, f"{kept} elements", array.size)
    return True


def _ragged(map: IndexMap) -> tuple[int, ...]:
    """Dimensions none of which is in whole granules, with one more before where any may stand."""
    ends = tuple(granule + 1 for granule in map.granule)
    return ends if map.rank else (2, *(2,) * (2 - len(ends)), *ends)
