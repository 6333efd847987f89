"""``generated``: what the compiler makes by itself, as a library and for what others do not claim.

The compiler's own loops take any group around at most one product; they try a few tiles each.
"""

from emu.kernels import claims
from emu.kernels.build import build
from emu.kernels.libraries.deep import ATTENTION, CHAIN, SIBLINGS
from emu.kernels.libraries.reference import MOVE
from emu.kernels.library import Kernel, Library
from emu.kernels.menus import pointwise_menu, product_menu

LOOPS = Kernel(
    "loops",
    "loops over any group without a product",
    claims.anything_without_product,
    build,
    pointwise_menu,
)
PRODUCT_LOOPS = Kernel(
    "product-loops",
    "loops over any group around one product",
    claims.anything_with_product,
    build,
    product_menu,
)

GENERATED = Library(
    "generated",
    "everything by the compiler's own loops",
    (MOVE, PRODUCT_LOOPS, LOOPS, ATTENTION, SIBLINGS, CHAIN),
    menu_length=6,
    load_width_bytes=16,
)
# What the compiler can always make for a group that a library does not claim.
GENERATOR = Library(
    "generated",
    "loops over groups without a product",
    (MOVE, LOOPS),
    menu_length=3,
    load_width_bytes=16,
)
