"""``reference``: one plain kernel an op, written to be right rather than fast."""

from emu.ir.layout import ROW_MAJOR
from emu.kernels import claims
from emu.kernels.build import build
from emu.kernels.library import ONE_ELEMENT, Kernel, Library
from emu.kernels.menus import pointwise_menu, product_menu
from emu.kernels.movement import build_movement

MOVE = Kernel(
    "move", "concat, split, gather, reshape", claims.movement, build_movement, pointwise_menu
)
PRODUCT = Kernel(
    "product",
    "one matmul or conv, of row-major values",
    claims.plain_product,
    build,
    product_menu,
    layouts=frozenset((ROW_MAJOR,)),
)
POINTWISE = Kernel("op", "one op without a product", claims.plain_pointwise, build, pointwise_menu)

REFERENCE = Library(
    "reference",
    "one plain kernel an op, one tile, one element per lane",
    (MOVE, PRODUCT, POINTWISE),
    menu_length=1,
    load_width_bytes=ONE_ELEMENT,
)
