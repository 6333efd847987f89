"""How the elements of a value lie in memory: in which order, and in granules of which size.

Shapes, axes and values are logical everywhere; a layout is an encoding of a type, as in MLIR and
XLA, and an index map says where each element lies. What it changes is storage: each dimension is
padded to whole granules, and a slice that is moved is rounded outward to the granules that it
touches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from emu.ir.index_map import IndexMap, spelled

ROW_MAJOR = "row-major"
IMAGE_PRODUCTS = frozenset(("Conv", "ConvTranspose", "ConvInteger"))


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to store values: where its index map puts each element.

    ``granule`` is that of the last dimensions, 1 for all before them. ``rank`` is the number of
    dimensions that a value must have; None is any that has a granule.
    """

    name: str
    about: str
    map: IndexMap
    granule: tuple[int, ...]
    rank: int | None

    def stores(self, rank: int) -> bool:
        """Whether a value of ``rank`` dimensions can lie so."""
        return rank >= len(self.granule) if self.rank is None else rank == self.rank


def _layout(name: str, about: str, text: str) -> Layout:
    """The layout that an index map spells."""
    map = spelled(text)
    return Layout(name, about, map, map.granule, map.rank)


_TABLE = (
    _layout(ROW_MAJOR, "the last dimension innermost, dense; NCHW for images", ".."),
    _layout("nhwc", "channels innermost (cuDNN's NHWC; OHWI for weights)", "nhwc"),
    _layout("nchw16c", "blocks of 16 channels innermost (oneDNN's nChw16c)", "nchw16c"),
    _layout("oihw16i16o", "weights in blocks of 16 x 16 channels (oneDNN)", "oihw16i16o"),
    _layout("goihw16g", "weights of grouped convs in blocks of 16 groups (oneDNN)", "oihw16o"),
    _layout(
        "t8x128", "tiles of 8 x 128 over the last two dimensions (XLA's T(8,128))", "..rc8r128c"
    ),
    _layout("nhwc.t8x128", "NHWC, in tiles of 8 columns x 128 channels", "nhwc8w128c"),
    _layout("hwio.t8x128", "weights as HWIO, in tiles of 8 inputs x 128 outputs", "hwio8i128o"),
    _layout("t32x32", "tiles of 32 x 32 over the last two dimensions (tt-metal)", "..rc32r32c"),
    _layout("nhwc.t32x32", "NHWC, in tiles of 32 columns x 32 channels", "nhwc32w32c"),
    _layout("hwio.t32x32", "weights as HWIO, in tiles of 32 inputs x 32 outputs", "hwio32i32o"),
)
STORED: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in _TABLE})


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a family of ops asks for: how its data lie, and the weights of its products.

    ``images`` schemes are those of convs and of what pools or scales images, the others those of
    matrix products and of what works on rows. ``grouped`` is for weights of convs with groups.
    """

    data: str
    weight: str
    grouped: str
    images: bool


_NHWC = Scheme("nhwc", "nhwc", "nhwc", images=True)
_BLOCKED = Scheme("nchw16c", "oihw16i16o", "goihw16g", images=True)

_TILES = {
    tile: (
        Scheme(f"nhwc.{tile}", f"hwio.{tile}", f"hwio.{tile}", images=True),
        Scheme(tile, tile, tile, images=False),
    )
    for tile in ("t8x128", "t32x32")
}

# What --layout names; auto is for products that no kernel takes row-major, the first that suits.
LAYOUTS: Mapping[str, tuple[Scheme, ...]] = MappingProxyType(
    {
        "auto": (_NHWC, _BLOCKED, *_TILES["t8x128"], *_TILES["t32x32"]),
        "nchw": (),
        "nhwc": (_NHWC,),
        "blocked": (_BLOCKED,),
        **_TILES,
    }
)


@lru_cache(maxsize=1024)
def stored_by(map: IndexMap) -> str | None:
    """The name of the layout in which an index map stores values, None if no kernel knows it."""
    rank = map.rank or max(2, len(map.granule))
    able = (layout for layout in _TABLE if layout.stores(rank))
    return next((known.name for known in able if known.map.over(rank) == map.over(rank)), None)


@lru_cache(maxsize=1024)
def granule(name: str, rank: int) -> tuple[int, ...]:
    """The granule of each dimension of a value stored so; raises KeyError for an unknown layout."""
    known = STORED[name].granule
    return (1,) * (rank - len(known)) + known


def is_row_major(name: str, dims: tuple[int, ...]) -> bool:
    """Whether a value of these dimensions has the same bytes in layout ``name`` as row-major.

    With one channel or one pixel it makes no difference which of them is innermost.
    """
    return name == ROW_MAJOR or (name == "nhwc" and 1 in (dims[1], dims[2] * dims[3]))


@lru_cache(maxsize=4096)
def same_bytes(name: str, dims: tuple[int, ...]) -> frozenset[str] | None:
    """The layouts in which a value of these dimensions has the bytes that it has in ``name``.

    None is any: fewer than two dimensions can lie in one way only.
    """
    if len(dims) < 2:
        return None
    able = (layout.name for layout in _TABLE if layout.stores(len(dims)))
    rows = name == ROW_MAJOR
    return frozenset((name, *(other for other in able if rows and is_row_major(other, dims))))


def padded(extent: int, granule: int) -> int:
    """``extent`` rounded up to whole granules."""
    return -(-extent // granule) * granule
