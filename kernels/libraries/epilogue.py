"""``epilogue``: products have slots for what follows them, and lanes load 16 bytes at a time."""

from emu.kernels import claims
from emu.kernels.build import build
from emu.kernels.libraries.reference import MOVE, POINTWISE
from emu.kernels.library import Kernel, Library
from emu.kernels.menus import product_menu

PRODUCT_EPILOGUE = Kernel(
    "product+epilogue",
    "a product and what follows it element by element",
    claims.product_with_epilogue,
    build,
    product_menu,
)

EPILOGUE = Library(
    "epilogue",
    "products with epilogue slots, more tiles, wide loads",
    (MOVE, PRODUCT_EPILOGUE, POINTWISE),
    menu_length=6,
    load_width_bytes=16,
)
