"""``plain``: kernels as one writes them for a single model: a row a tile, an element a lane."""

from emu.kernels import claims
from emu.kernels.build import build
from emu.kernels.libraries.generated import PRODUCT_LOOPS
from emu.kernels.libraries.reference import MOVE
from emu.kernels.library import ONE_ELEMENT, Kernel, Library
from emu.kernels.menus import row_menu

ROWS = Kernel(
    "rows",
    "any group without a product, a row of the result at a time",
    claims.anything_without_product,
    build,
    row_menu,
)

PLAIN = Library(
    "plain",
    "any group, a row a tile, one element per lane",
    (MOVE, PRODUCT_LOOPS, ROWS),
    menu_length=1,
    load_width_bytes=ONE_ELEMENT,
)
