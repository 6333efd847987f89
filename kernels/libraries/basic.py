"""``basic``: the kernels of ``reference``, each with a few tiles to choose from."""

from emu.kernels.libraries.reference import MOVE, POINTWISE, PRODUCT
from emu.kernels.library import Library

BASIC = Library(
    "basic",
    "products and single ops, a few tiles",
    (MOVE, PRODUCT, POINTWISE),
    menu_length=3,
    load_width_bytes=4,
)
